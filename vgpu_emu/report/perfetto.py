"""``perfetto(events)``: the log as a trace for ui.perfetto.dev: a track for each party, a flow for each blob.

The guest's track has one below it for each descriptor chain, since several are on their way at a time. A wait is a
slice, from the question to its answer, on the track of the one who asks; while the VMM waits, the host works, so that
slice is on both tracks. What a party notes is an instant.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from vgpu_emu.report.threads import Thread, is_question, threads
from vgpu_emu.trace.ladder import Rung, rungs
from vgpu_emu.trace.log import GUEST, HOST, RENDERER, VMM, Event, Message

if TYPE_CHECKING:
    from perfetto.trace_builder.proto_builder import TraceProtoBuilder

#: nanoseconds between two events at least: a log may have no clock, and its order is to be seen
TICK = 1000
_SEQUENCE = 1
_PARTIES = {GUEST: "guest", VMM: "VMM", HOST: "host"}


def perfetto(events: Iterable[Event]) -> bytes:
    """The trace. Raises ModuleNotFoundError if the package perfetto is not installed."""
    from perfetto.trace_builder.proto_builder import TraceProtoBuilder

    events = list(events)
    builder = TraceProtoBuilder()
    writer = _Writer(builder)
    for time, event, rung, thread in zip(_times(events), events, rungs(events), threads(events), strict=True):
        writer.add(time, event, rung, thread)
    trace: bytes = builder.serialize()
    return trace


def _times(events: Iterable[Event]) -> Iterator[int]:
    """Nanoseconds, each a tick after the one before at least."""
    last = 0
    for event in events:
        last = max(last + TICK, round(event.seconds * 1e9))
        yield last


class _Writer:
    """Tracks are described when they are first needed: their uuid is their number."""

    def __init__(self, builder: "TraceProtoBuilder") -> None:
        from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TrackEvent

        self._builder = builder
        self._types = TrackEvent
        self._tracks: dict[tuple[str, str], int] = {}
        for party in _PARTIES:
            self._track(party)

    def add(self, time: int, event: Event, rung: Rung, thread: Thread) -> None:
        types = self._types
        if not isinstance(event, Message):
            self._event(time, self._track(event.who), types.TYPE_INSTANT, rung, thread.resource)
            return
        for track in self._tracks_of(event):
            if is_question(event):
                self._event(time, track, types.TYPE_SLICE_BEGIN, rung, thread.resource)
            elif thread.answers is None:
                self._event(time, track, types.TYPE_INSTANT, rung, thread.resource)
            else:
                self._event(time, track, types.TYPE_SLICE_END, Rung(0, "", None, "", f"{rung.says} {rung.detail}"))

    def _tracks_of(self, event: Message) -> list[int]:
        if event.link == RENDERER:
            return [self._track(VMM), self._track(HOST)]
        return [self._track(GUEST, f"{event.link} chain {event.head}")]

    def _event(self, time: int, track: int, kind: int, rung: Rung, blob: int | None = None) -> None:
        """One packet. The end of a slice has no name; its detail is the answer."""
        event = self._packet(time).track_event
        event.type, event.track_uuid = kind, track
        if rung.says:
            event.name = rung.says
        if rung.detail:
            annotation = event.debug_annotations.add()
            annotation.name, annotation.string_value = "detail" if rung.says else "answer", rung.detail.strip()
        if blob is not None:
            event.flow_ids.append(blob)

    def _packet(self, time: int) -> Any:
        packet = self._builder.add_packet()
        packet.timestamp, packet.trusted_packet_sequence_id = time, _SEQUENCE
        return packet

    def _track(self, party: str, below: str = "") -> int:
        """The uuid of a party's track, or of one below it."""
        uuid = self._tracks.get((party, below))
        if uuid is None:
            parent = self._track(party) if below else None
            uuid = self._tracks[party, below] = len(self._tracks) + 1
            described = self._builder.add_packet().track_descriptor
            described.uuid, described.name = uuid, below or _PARTIES.get(party, party)
            if parent is not None:
                described.parent_uuid = parent
        return uuid
