"""One buffer's cache attribute followed through the machine: what the exporter knows, what each party then says."""

from typing import TYPE_CHECKING

import msgspec

from vgpu_emu.assembly import Config, Conflict, Parts
from vgpu_emu.guest.driver import Op
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.vma import Vma
from vgpu_emu.host.exporters import EXPORTERS
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.machine import Isolation, open_machine
from vgpu_emu.trace.log import CONTROLQ, GUEST, Event, Log
from vgpu_emu.vocabulary import HostAttribute, Pgprot
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlType
from vgpu_wire.messages import parse_message, type_name

if TYPE_CHECKING:
    from vgpu_emu.attributes import aliases
    from vgpu_emu.attributes.alias_rules import Judgement
    from vgpu_emu.attributes.derivation import Derivation

SIZE = 65536
_GREETING = b"written by the guest"


class Propagation(msgspec.Struct, frozen=True):
    """What became of the attribute. wire_map_info, guest_pgprot: None if the blob was not mapped.

    response: the type of the answer to RESOURCE_MAP_BLOB. shared: the host read the bytes that the guest wrote; None
    if nothing was mapped. conflicts: mappings that contradict the exporter's. aliases: what the alias checker found;
    without a platform, nothing.
    """

    exporter: ExporterKind
    config: Config
    host_attribute: HostAttribute
    response: str
    wire_map_info: int | None
    guest_pgprot: Pgprot | None
    shared: bool | None
    conflicts: list[Conflict]
    aliases: "list[aliases.Conflict]"
    events: list[Event]

    @property
    def derivation(self) -> "Derivation | None":
        """What the guest's mapping becomes on the platform of the configuration; None: no mapping, or no platform."""
        if self.guest_pgprot is None or self.config.platform is None:
            return None
        return self.config.platform.derive(self.guest_pgprot)

    @property
    def judgement(self) -> "Judgement | None":
        """How that goes with the exporter's mapping and its GPU's; None also if nobody knows those."""
        from vgpu_emu.attributes.alias_rules import verdict

        derivation, platform = self.derivation, self.config.platform
        if derivation is None or platform is None:
            return None
        return verdict(platform, self.host_attribute, derivation.effective)


async def propagate(exporter: ExporterKind, config: Config, isolation: Isolation | None = None) -> Propagation:
    """Allocate a blob of this exporter, map it in the guest, write a word into it, and look at it from the host."""
    async with open_machine(config, isolation=isolation) as machine:
        file = DrmFile(machine.driver)
        vma = await machine.run(_map(file, exporter))
        result = _look(exporter, machine.parts, vma)
        await machine.run(_unmap(file, vma))
        await machine.settle()
    return result


def propagate_in_lockstep(exporter: ExporterKind, config: Config) -> Propagation:
    """The same without an event loop: for many runs, of which only the outcome matters."""
    with Lockstep(config) as machine:
        return _look(exporter, machine.parts, machine.run(_map(DrmFile(machine.driver), exporter)))


def _map(file: DrmFile, exporter: ExporterKind) -> Op[Vma | None]:
    cmd = StreamAlloc(exporter=exporter.value, blob_id=1, size=SIZE).build()
    handle = yield from file.resource_create_blob(size=SIZE, blob_id=1, cmd=cmd)
    try:
        return (yield from file.mmap(file.map(handle), SIZE))
    except OSError as refused:
        file.driver.log.note(GUEST, "mmap_failed", error=refused.strerror)
        return None


def _unmap(file: DrmFile, vma: Vma | None) -> Op[None]:
    if vma is not None:
        yield from vma.munmap()
    yield from file.close()


def _look(exporter: ExporterKind, parts: Parts, vma: Vma | None) -> Propagation:
    answer = _map_answer(parts.log)
    return Propagation(
        exporter=exporter,
        config=parts.config,
        host_attribute=EXPORTERS[exporter].attribute,
        response=type_name(answer.type),
        wire_map_info=answer.map_info if answer.type == CtrlType.RESP_OK_MAP_INFO else None,
        guest_pgprot=vma.pgprot if vma else None,
        shared=_shared(parts, vma) if vma else None,
        conflicts=parts.conflicts(),
        aliases=list(parts.aliases.conflicts) if parts.aliases else [],
        events=list(parts.log.events),
    )


def _map_answer(log: Log) -> RespMapInfo:
    """The answer to the one RESOURCE_MAP_BLOB in the log, as the guest's response buffer has it."""
    requests = {m.head for m in log.messages(CONTROLQ) if parse_message(m.data).type == CtrlType.RESOURCE_MAP_BLOB}
    written = next(m.data for m in log.messages(CONTROLQ) if m.receiver == GUEST and m.head in requests)
    return RespMapInfo.parse(written.ljust(RespMapInfo.layout.size, b"\0"))


def _shared(parts: Parts, vma: Vma) -> bool:
    vma.write(0, _GREETING)
    fd = parts.renderer.resources[vma.vram.resource_id]
    with parts.renderer.process.mmap(fd, SIZE) as pages:
        return pages[: len(_GREETING)] == _GREETING
