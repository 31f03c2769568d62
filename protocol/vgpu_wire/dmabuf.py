"""The dma-buf ioctls (linux/dma-buf.h), and the one that was proposed in 2022 and never merged: DMA_BUF_IOCTL_INFO.

The series was posted three times. The first posting (and the second, which differs in a const) asks for
DMA_BUF_INFO_VM_PROT and answers a VmProt; the third asks for DMA_BUF_INFO_MAP_INFO and answers a DmaBufMapInfo. Request
number and structure stayed the same, the numbers of the answer did not.
"""

from enum import Enum, IntFlag

from vgpu_wire.derive import wire
from vgpu_wire.layout import Record
from vgpu_wire.terms import native32, native64, native_s32

_WRITE, _READ = 1, 2
DMA_BUF_BASE = ord("b")
#: bytes of a name with its NUL (DMA_BUF_NAME_LEN)
DMA_BUF_NAME_LEN = 32


def _ioc(direction: int, number: int, size: int) -> int:
    """An ioctl request number (asm-generic/ioctl.h): 8 bits number, 8 bits type, 14 bits size, 2 bits direction."""
    return direction << 30 | size << 16 | DMA_BUF_BASE << 8 | number


class DmaBufSyncFlag(IntFlag):
    """DMA_BUF_SYNC_*: which accesses the CPU is about to make (START) or has made (END)."""

    READ = 1 << 0
    WRITE = 2 << 0
    RW = READ | WRITE
    START = 0 << 2
    END = 1 << 2


#: DMA_BUF_SYNC_VALID_FLAGS_MASK
DMA_BUF_SYNC_VALID_FLAGS = int(DmaBufSyncFlag.RW | DmaBufSyncFlag.END)


class VmProt(Enum):
    """DMA_BUF_VM_PROT_*: the answer of the first posting. Not an int, as MapCache is none."""

    WC = 0
    CACHED = 1


class DmaBufMapInfo(Enum):
    """enum dma_buf_map_info: the answer of the third posting.

    INCOHERENT: user space needs cache maintenance, so do not map it into a guest; also the default of an exporter that
    says nothing.
    """

    INCOHERENT = 0
    COHERENT_WC = 1
    COHERENT_CACHED = 2


#: dma_buf_info.param of the first posting
DMA_BUF_INFO_VM_PROT = 1
#: dma_buf_info.param of the third: the same number under another name
DMA_BUF_INFO_MAP_INFO = 1


@wire("dma_buf_sync", 8)
class DmaBufSync(Record, frozen=True):
    """dma_buf_sync: flags: DmaBufSyncFlag bits."""

    flags: native64 = 0


@wire("dma_buf_export_sync_file", 8)
class DmaBufExportSyncFile(Record, frozen=True):
    """dma_buf_export_sync_file: flags: READ, WRITE or both. fd: the new sync file."""

    flags: native32 = 0
    fd: native_s32 = 0


@wire("dma_buf_import_sync_file", 8)
class DmaBufImportSyncFile(Record, frozen=True):
    """dma_buf_import_sync_file: flags: READ, WRITE or both. fd: a sync file."""

    flags: native32 = 0
    fd: native_s32 = 0


@wire("dma_buf_info", 16)
class DmaBufInfo(Record, frozen=True):
    """dma_buf_info: param: the question. value: the answer, whatever it was before."""

    param: native32 = 0
    pad: native32 = 0
    value: native64 = 0


DMA_BUF_IOCTL_SYNC = _ioc(_WRITE, 0, DmaBufSync.layout.size)
DMA_BUF_SET_NAME_A = _ioc(_WRITE, 1, 4)
DMA_BUF_SET_NAME_B = _ioc(_WRITE, 1, 8)
DMA_BUF_IOCTL_EXPORT_SYNC_FILE = _ioc(_READ | _WRITE, 2, DmaBufExportSyncFile.layout.size)
DMA_BUF_IOCTL_IMPORT_SYNC_FILE = _ioc(_WRITE, 3, DmaBufImportSyncFile.layout.size)
#: shares number 2 with EXPORT_SYNC_FILE; only the size tells them apart
DMA_BUF_IOCTL_INFO = _ioc(_READ | _WRITE, 2, DmaBufInfo.layout.size)
