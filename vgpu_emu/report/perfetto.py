"""``perfetto(events)``: the log as a trace for ui.perfetto.dev: a track for each party, a flow for each blob.

The guest's track has one below it for each descriptor chain, since several are on their way at a time. A wait is a
slice, from the question to its answer, on the track of the one who asks; while the VMM waits, the host works, so that
slice is on both tracks. What a party notes is an instant.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vgpu_emu.report.threads import Thread, threads
from vgpu_emu.trace.ladder import Rung, rungs
from vgpu_emu.trace.log import GUEST, HOST, RENDERER, VMM, Event, Message, is_question

if TYPE_CHECKING:
    from perfetto.trace_builder.proto_builder import TraceProtoBuilder

#: nanoseconds between two events at least: a log may have no clock, and its order is to be seen
TICK = 1000
_SEQUENCE = 1
_PARTIES = {GUEST: "guest", VMM: "VMM", HOST: "host"}


def perfetto(events: Sequence[Event]) -> bytes:
    """The trace. Raises ModuleNotFoundError if the package perfetto is not installed."""
    return perfetto_of_runs({"": events})


def perfetto_of_runs(runs: Mapping[str, Sequence[Event]]) -> bytes:
    """Several runs in one trace, each below a track of its name, as if they had started together: name -> events."""
    from perfetto.trace_builder.proto_builder import TraceProtoBuilder

    builder = TraceProtoBuilder()
    tracks: dict[tuple[str, ...], int] = {}
    for number, (name, events) in enumerate(runs.items()):
        writer = _Writer(builder, tracks, (name,) if name else (), number << 32)
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
    """One run. tracks: path of names -> uuid, of all runs; one is described when it is first needed, and its uuid is
    its number. above: the path of the run's own track. flows: what the numbers of its flows start from."""

    def __init__(
        self, builder: "TraceProtoBuilder", tracks: dict[tuple[str, ...], int], above: tuple[str, ...], flows: int
    ) -> None:
        from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TrackEvent

        self._builder = builder
        self._types = TrackEvent
        self._tracks = tracks
        self._above = above
        self._flows = flows
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
            event.flow_ids.append(self._flows + blob)

    def _packet(self, time: int) -> Any:
        packet = self._builder.add_packet()
        packet.timestamp, packet.trusted_packet_sequence_id = time, _SEQUENCE
        return packet

    def _track(self, party: str, *below: str) -> int:
        """The uuid of a party's track, or of one below it."""
        return self._described((*self._above, _PARTIES.get(party, party), *below))

    def _described(self, path: tuple[str, ...]) -> int:
        uuid = self._tracks.get(path)
        if uuid is None:
            parent = self._described(path[:-1]) if len(path) > 1 else None
            uuid = self._tracks[path] = len(self._tracks) + 1
            described = self._builder.add_packet().track_descriptor
            described.uuid, described.name = uuid, path[-1]
            if parent is not None:
                described.parent_uuid = parent
        return uuid
