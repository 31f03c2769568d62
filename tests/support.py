"""Short ways to say what many tests need: a blob of an exporter, the commands on the wire, a guest without a device."""

from typing import Any

from vgpu_emu.guest.driver import Op
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.vma import Vma
from vgpu_emu.ids import GemHandle
from vgpu_emu.testing.driver import OK, Call
from vgpu_emu.testing.driver import DriverAlone as GuestAlone
from vgpu_emu.trace.log import CONTROLQ, GUEST, VMM, Log
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlHdr
from vgpu_wire.messages import parse_message, type_name

__all__ = [
    "OK",
    "PAGE",
    "Call",
    "GuestAlone",
    "alloc",
    "answers",
    "create",
    "create_and_mmap",
    "names",
    "requests",
    "said",
]
PAGE = 4096


def alloc(exporter: ExporterKind = ExporterKind.CACHED, *, blob_id: int = 1, size: int = PAGE) -> bytes:
    """A context stream that allocates one object."""
    return StreamAlloc(exporter=exporter.value, blob_id=blob_id, size=size).build()


def create(
    file: DrmFile, exporter: ExporterKind = ExporterKind.CACHED, *, blob_id: int = 1, size: int = PAGE, **options: Any
) -> Op[GemHandle]:
    """Allocate an object and make a blob of it."""
    cmd = alloc(exporter, blob_id=blob_id, size=size)
    return file.resource_create_blob(size=size, blob_id=blob_id, cmd=cmd, **options)


def create_and_mmap(
    file: DrmFile, exporter: ExporterKind = ExporterKind.CACHED, *, blob_id: int = 1, size: int = PAGE, **options: Any
) -> Op[tuple[GemHandle, Vma]]:
    """The usual way of a buffer to a guest user: create, MAP ioctl, mmap of all of it."""
    handle = yield from create(file, exporter, blob_id=blob_id, size=size, **options)
    vma = yield from file.mmap(file.map(handle), size)
    return handle, vma


def requests(log: Log) -> list[CtrlHdr]:
    """What the guest sent on the controlq, in order."""
    return [parse_message(message.data) for message in log.messages(CONTROLQ) if message.sender == GUEST]


def answers(log: Log) -> list[CtrlHdr]:
    """What the VMM wrote into the chains of the controlq, in order."""
    return [parse_message(message.data) for message in log.messages(CONTROLQ) if message.sender == VMM]


def names(records: list[CtrlHdr]) -> list[str]:
    return [type_name(record.type) for record in records]


def said(log: Log) -> dict[tuple[str, str], list[tuple[bytes, int, int]]]:
    """Who said what on which link: (link, sender) -> its messages, in order, with head and capacity."""
    spoken: dict[tuple[str, str], list[tuple[bytes, int, int]]] = {}
    for message in log.messages(CONTROLQ, "cursorq", "renderer"):
        said_so_far = spoken.setdefault((message.link, message.sender), [])
        said_so_far.append((message.data, message.head, message.capacity))
    return spoken
