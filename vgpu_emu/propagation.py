"""One buffer's cache attribute followed through the machine: what the exporter knows, what each party then says."""

import msgspec

from vgpu_emu.assembly import Config, Conflict
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.vma import Vma
from vgpu_emu.host.exporters import EXPORTERS
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.trace.log import CONTROLQ, GUEST, Event
from vgpu_emu.vocabulary import HostAttribute, Pgprot
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlType
from vgpu_wire.messages import parse_message, type_name

SIZE = 65536
_GREETING = b"written by the guest"


class Propagation(msgspec.Struct, frozen=True):
    """What became of the attribute. wire_map_info, guest_pgprot: None if the blob was not mapped.

    response: the type of the answer to RESOURCE_MAP_BLOB. shared: the host read the bytes that the guest wrote; None
    if nothing was mapped. conflicts: mappings that contradict the exporter's.
    """

    exporter: ExporterKind
    config: Config
    host_attribute: HostAttribute
    response: str
    wire_map_info: int | None
    guest_pgprot: Pgprot | None
    shared: bool | None
    conflicts: list[Conflict]
    events: list[Event]


async def propagate(exporter: ExporterKind, config: Config) -> Propagation:
    """Allocate a blob of this exporter, map it in the guest, write a word into it, and look at it from the host."""
    async with open_machine(config) as machine:
        file = DrmFile(machine.driver)
        cmd = StreamAlloc(exporter=exporter.value, blob_id=1, size=SIZE).build()
        handle = await machine.run(file.resource_create_blob(size=SIZE, blob_id=1, cmd=cmd))
        try:
            vma: Vma | None = await machine.run(file.mmap(file.map(handle), SIZE))
        except OSError as refused:
            vma = None
            machine.log.note(GUEST, "mmap_failed", error=refused.strerror)
        answer = _map_answer(machine)
        result = Propagation(
            exporter=exporter,
            config=config,
            host_attribute=EXPORTERS[exporter].attribute,
            response=type_name(answer.type),
            wire_map_info=answer.map_info if answer.type == CtrlType.RESP_OK_MAP_INFO else None,
            guest_pgprot=vma.pgprot if vma else None,
            shared=_shared(machine, vma) if vma else None,
            conflicts=machine.conflicts(),
            events=list(machine.log.events),
        )
        if vma:
            await machine.run(vma.munmap())
        await machine.run(file.close())
        await machine.settle()
    return result


def _map_answer(machine: Machine) -> RespMapInfo:
    """The answer to the one RESOURCE_MAP_BLOB in the log, as the guest's response buffer has it."""
    requests = {
        m.head for m in machine.log.messages(CONTROLQ) if parse_message(m.data).type == CtrlType.RESOURCE_MAP_BLOB
    }
    written = next(m.data for m in machine.log.messages(CONTROLQ) if m.receiver == GUEST and m.head in requests)
    return RespMapInfo.parse(written.ljust(RespMapInfo.layout.size, b"\0"))


def _shared(machine: Machine, vma: Vma) -> bool:
    vma.write(0, _GREETING)
    fd = machine.parts.renderer.resources[vma.vram.resource_id]
    with machine.parts.renderer.process.mmap(fd, SIZE) as pages:
        return pages[: len(_GREETING)] == _GREETING
