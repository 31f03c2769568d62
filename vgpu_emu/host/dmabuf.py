"""Simulated dma-bufs and the part of a Linux kernel that serves them (drivers/dma-buf/dma-buf.c).

A Process has a table of file descriptors; descriptors refer to dma-bufs; a dma-buf lives as long as one does. What a
call refuses is an OSError with the kernel's errno.
"""

import mmap
from collections.abc import Callable
from errno import EBADF, EFAULT, EINVAL, EMFILE, ENODEV, ENOSYS, ENOTTY
from heapq import heappop, heappush
from itertools import count

import msgspec

from vgpu_emu.ids import Fd
from vgpu_emu.memory import Memory, PassedFd
from vgpu_emu.vocabulary import Dialect, HostAttribute
from vgpu_wire.dmabuf import (
    DMA_BUF_INFO_MAP_INFO,
    DMA_BUF_INFO_VM_PROT,
    DMA_BUF_IOCTL_INFO,
    DMA_BUF_IOCTL_SYNC,
    DMA_BUF_NAME_LEN,
    DMA_BUF_SET_NAME_A,
    DMA_BUF_SET_NAME_B,
    DMA_BUF_SYNC_VALID_FLAGS,
    DmaBufInfo,
    DmaBufMapInfo,
    DmaBufSync,
    DmaBufSyncFlag,
)

UserBuffer = bytearray | memoryview | bytes | None
#: descriptors a process may have (RLIMIT_NOFILE); one more is EMFILE
MAX_FDS = 1024


class DmaBufOps(msgspec.Struct, frozen=True):
    """struct dma_buf_ops of one exporter, as far as the cache question needs it.

    attribute: how the exporter maps its buffers, true whether or not it tells.
    mmap_info: the op that the first posting adds; it returns a C int, and what it returns becomes the value unchecked.
    map_info: what the exporter stores in the dma-buf at export, by the third posting.
    """

    name: str
    attribute: HostAttribute
    mmap_info: "Callable[[DmaBuf], int] | None" = None
    map_info: DmaBufMapInfo = DmaBufMapInfo.INCOHERENT


class DmaBuf(msgspec.Struct):
    """struct dma_buf: an exported buffer. inode tells it from every other; refs: descriptors, and who exported it."""

    inode: int
    memory: Memory
    ops: DmaBufOps
    name: str = ""
    refs: int = 1


class Kernel:
    """A host kernel. dialect: which posting of the series it carries; None: none of it, as every released kernel."""

    def __init__(self, dialect: Dialect | None, *, max_fds: int = MAX_FDS) -> None:
        self.dialect = dialect
        self.max_fds = max_fds
        #: inode -> dma-buf, and the bytes of all of them
        self.live: dict[int, DmaBuf] = {}
        self.live_bytes = 0
        self._inodes = count(1)

    def dma_buf_export(self, memory: Memory, ops: DmaBufOps) -> DmaBuf:
        """A dma-buf over `memory`, which it now holds. The reference is the caller's, who gives it back with `put`."""
        buf = DmaBuf(next(self._inodes), memory, ops)
        self.live[buf.inode] = buf
        self.live_bytes += memory.size
        return buf

    def put(self, buf: DmaBuf) -> None:
        buf.refs -= 1
        if not buf.refs:
            del self.live[buf.inode]
            self.live_bytes -= buf.memory.size
            buf.memory.release()


class Process:
    """One process of the host: a table of descriptors, and the system calls on them."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.kernel = kernel
        self.name = name
        self.files: dict[Fd, DmaBuf] = {}
        #: closed numbers, a heap; above them and 2, every number from _unused on is free
        self._closed: list[int] = []
        self._unused = 3

    def install(self, buf: DmaBuf) -> Fd:
        """A new descriptor for `buf`: the lowest free number, from 3 on. Raises EMFILE."""
        if len(self.files) >= self.kernel.max_fds:
            raise OSError(EMFILE, f"{self.name} has {len(self.files)} descriptors open")
        if self._closed:
            fd = Fd(heappop(self._closed))
        else:
            fd, self._unused = Fd(self._unused), self._unused + 1
        buf.refs += 1
        self.files[fd] = buf
        return fd

    def send(self, fd: Fd, receiver: "Process") -> PassedFd:
        """Pass a descriptor, as SCM_RIGHTS does: a new number in the receiver's table. Raises EBADF, EMFILE."""
        buf = self.file(fd)
        return PassedFd(receiver.install(buf), buf.memory.hold())

    def file(self, fd: Fd) -> DmaBuf:
        try:
            return self.files[fd]
        except KeyError:
            raise OSError(EBADF, f"{self.name} has no descriptor {fd}") from None

    def close(self, fd: Fd) -> None:
        """Raises EBADF."""
        self._forget(fd, self.file(fd))

    def _forget(self, fd: Fd, buf: DmaBuf) -> None:
        del self.files[fd]
        heappush(self._closed, fd)
        self.kernel.put(buf)

    def exit(self) -> None:
        """The end of the process: everything is closed."""
        for fd, buf in list(self.files.items()):
            self._forget(fd, buf)

    def mmap(self, fd: Fd, length: int, offset: int = 0) -> mmap.mmap:
        """Real memory, shared with everybody who maps the buffer. Raises EBADF, EINVAL out of bounds, ENODEV for a
        size-only backing."""
        buf = self.file(fd)
        if not 0 <= offset < offset + length <= buf.memory.size or offset % mmap.ALLOCATIONGRANULARITY:
            raise OSError(EINVAL, f"[{offset:#x}, +{length:#x}) of a dma-buf of {buf.memory.size:#x} bytes")
        if buf.memory.fileno is None:
            raise OSError(ENODEV, "a size-only backing has no bytes")
        return mmap.mmap(buf.memory.fileno, length, offset=offset)

    def ioctl(self, fd: Fd, request: int, argument: UserBuffer) -> int:
        """dma_buf_ioctl: 0, or OSError. The request number is the whole encoded number.

        argument: the caller's buffer, written back to in place. The kernel sees an address and no length; here a buffer
        that is shorter than the request's structure, and None, is an address that faults (EFAULT), and bytes or a
        read-only view is memory that cannot be written.
        """
        buf = self.file(fd)
        handler = _IOCTLS.get(request)
        if handler is None or (handler is _info and self.kernel.dialect is None):
            raise OSError(ENOTTY, f"unknown dma-buf ioctl {request:#010x}")
        handler(self.kernel, buf, argument)
        return 0


def copy_from_user(argument: UserBuffer, size: int) -> bytes:
    if argument is None or len(argument) < size:
        raise OSError(EFAULT, f"the argument is not {size} readable bytes")
    return bytes(argument[:size])


def copy_to_user(argument: UserBuffer, data: bytes) -> None:
    if not isinstance(argument, bytearray) and (not isinstance(argument, memoryview) or argument.readonly):
        raise OSError(EFAULT, "the argument cannot be written")
    argument[: len(data)] = data


def _info(kernel: Kernel, buf: DmaBuf, argument: UserBuffer) -> None:
    """dma_buf_info of the series, check by check in its order."""
    info = DmaBufInfo.parse(copy_from_user(argument, DmaBufInfo.layout.size))
    if kernel.dialect is Dialect.RFC1:
        if info.param != DMA_BUF_INFO_VM_PROT:
            raise OSError(EINVAL, f"unknown param {info.param}")
        if buf.ops.mmap_info is None:
            raise OSError(ENOSYS, f"{buf.ops.name} has no mmap_info")
        # an int becomes a u64: a negative one keeps its sign bits
        value = buf.ops.mmap_info(buf) % (1 << 64)
    else:
        if info.param != DMA_BUF_INFO_MAP_INFO:
            raise OSError(EINVAL, f"unknown param {info.param}")
        value = buf.ops.map_info.value
    copy_to_user(argument, DmaBufInfo(param=info.param, pad=info.pad, value=value).build())


def _sync(_kernel: Kernel, _buf: DmaBuf, argument: UserBuffer) -> None:
    """DMA_BUF_IOCTL_SYNC. No exporter here has begin_cpu_access or end_cpu_access, so there is nothing to maintain."""
    flags = DmaBufSync.parse(copy_from_user(argument, DmaBufSync.layout.size)).flags
    if flags & ~DMA_BUF_SYNC_VALID_FLAGS or not flags & DmaBufSyncFlag.RW:
        raise OSError(EINVAL, f"sync flags {flags:#x}")


def _set_name(_kernel: Kernel, buf: DmaBuf, argument: UserBuffer) -> None:
    """DMA_BUF_SET_NAME: the argument is a string up to its NUL. EINVAL if the first 32 bytes hold none, EFAULT if the
    buffer ends before the string does."""
    text = bytes((argument or b"")[:DMA_BUF_NAME_LEN])
    name, end, _rest = text.partition(b"\0")
    if not end:
        raise OSError(EINVAL if len(text) == DMA_BUF_NAME_LEN else EFAULT, "the name does not end")
    buf.name = name.decode(errors="replace")


_IOCTLS: dict[int, Callable[[Kernel, DmaBuf, UserBuffer], None]] = {
    DMA_BUF_IOCTL_INFO: _info,
    DMA_BUF_IOCTL_SYNC: _sync,
    DMA_BUF_SET_NAME_A: _set_name,
    DMA_BUF_SET_NAME_B: _set_name,
}
