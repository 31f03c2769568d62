"""The host visible region as the log tells it: which blob was where, and what each party took it for."""

from collections.abc import Sequence

import msgspec

from vgpu_emu.attributes.alias_rules import Judgement, verdict
from vgpu_emu.attributes.derivation import Derivation
from vgpu_emu.attributes.platform import Platform
from vgpu_emu.host.exporters import EXPORTERS
from vgpu_emu.report.threads import Thread, threads
from vgpu_emu.trace.log import CONTROLQ, Event, Message, Note
from vgpu_emu.vocabulary import HostAttribute, Pgprot
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob, RespMapInfo
from vgpu_wire.context_stream import ExporterKind, StreamAlloc, stream_commands
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.errors import WireError
from vgpu_wire.render import CmdSubmit

#: moments of the region that are told apart; of more, the last
MAX_MOMENTS = 40


class Mapped(msgspec.Struct):
    """A blob in the region. offset, length: bytes. since: the event that mapped it. until: the one that unmapped it.

    host, pgprot: None: the log does not tell. derivation, judgement: what the guest's mapping becomes, and how that
    goes with the host's.
    """

    resource_id: int
    offset: int
    length: int
    since: int
    map_info: int
    until: int | None = None
    host: HostAttribute | None = None
    pgprot: Pgprot | None = None
    derivation: Derivation | None = None
    judgement: Judgement | None = None

    def lives(self, event: int) -> bool:
        return self.since <= event and (self.until is None or event < self.until)


class Moment(msgspec.Struct, frozen=True):
    """The region from one event on. blobs: in order of their offset."""

    event: int
    blobs: tuple[Mapped, ...]


def mappings(events: Sequence[Event], platform: Platform | None = None) -> list[Mapped]:
    """Every mapping of a blob, in order. platform: to derive what the guest's mappings become there."""
    seen = _Region(platform)
    woven = threads(events)
    for index, (event, thread) in enumerate(zip(events, woven, strict=True)):
        if isinstance(event, Message):
            if event.link == CONTROLQ:
                seen.crossed(index, thread, woven)
        elif event.name == "pgprot":
            seen.mapped_with(event)
    return seen.mappings


def moments(mapped: Sequence[Mapped]) -> list[Moment]:
    """The region after each event that mapped or unmapped a blob, at most the last MAX_MOMENTS of them."""
    events = {blob.since for blob in mapped} | {blob.until for blob in mapped if blob.until is not None}
    return [
        Moment(event, tuple(sorted((blob for blob in mapped if blob.lives(event)), key=lambda blob: blob.offset)))
        for event in sorted(events)[-MAX_MOMENTS:]
    ]


_PGPROTS = [pgprot.value for pgprot in Pgprot]


class _Region:
    """What has to be remembered: how long each blob is, who exports it, and where it is mapped."""

    def __init__(self, platform: Platform | None) -> None:
        self.platform = platform
        self.mappings: list[Mapped] = []
        self._live: dict[int, Mapped] = {}
        self._lengths: dict[int, int] = {}
        self._exporters: dict[tuple[int, int], HostAttribute] = {}
        self._hosts: dict[int, HostAttribute] = {}

    def crossed(self, index: int, thread: Thread, woven: list[Thread]) -> None:
        """A message of the controlq."""
        request = woven[thread.answers].record if thread.answers is not None else None
        match thread.record, request:
            case CmdSubmit() as submit, _:
                self._allocates(submit)
            case ResourceCreateBlob() as create, _:
                self._lengths[create.resource_id] = create.size
                host = self._exporters.get((create.ctx_id, create.blob_id))
                if host is not None:
                    self._hosts[create.resource_id] = host
            case RespMapInfo() as answer, ResourceMapBlob() as asked:
                blob, length = asked.resource_id, self._lengths.get(asked.resource_id, 0)
                mapped = Mapped(blob, asked.offset, length, index, answer.map_info, host=self._hosts.get(blob))
                self._live[blob] = mapped
                self.mappings.append(mapped)
            case HeaderOnly(type=CtrlType.RESP_OK_NODATA), ResourceUnmapBlob() as asked:
                unmapped = self._live.pop(asked.resource_id, None)
                if unmapped is not None:
                    unmapped.until = index

    def mapped_with(self, note: Note) -> None:
        """The guest has told which page protection it maps a blob with. A note that does not say so is none."""
        resource_id, pgprot = note.values.get("resource_id"), note.values.get("pgprot")
        blob = self._live.get(resource_id) if isinstance(resource_id, int) else None
        if blob is None or pgprot not in _PGPROTS:
            return
        blob.pgprot = Pgprot(pgprot)
        if self.platform is not None:
            blob.derivation = self.platform.derive(blob.pgprot)
            if blob.host is not None:
                blob.judgement = verdict(self.platform, blob.host, blob.derivation.effective)

    def _allocates(self, submit: CmdSubmit) -> None:
        try:
            commands = list(stream_commands(submit.commands))
        except WireError:
            return
        for command in commands:
            if isinstance(command, StreamAlloc) and command.exporter in set(ExporterKind):
                attribute = EXPORTERS[ExporterKind(command.exporter)].attribute
                self._exporters[submit.ctx_id, command.blob_id] = attribute
