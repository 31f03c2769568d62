"""What faults do below the links: descriptors in the tables of the host's kernel, system calls, memory."""

import os
from collections.abc import Callable
from errno import errorcode
from itertools import count
from typing import Any

from msgspec.structs import replace

from vgpu_emu.assembly import Parts
from vgpu_emu.faults.plan import CallFails
from vgpu_emu.host.dmabuf import DmaBuf, Process
from vgpu_emu.host.exporters import EXPORTERS
from vgpu_emu.link.chain import Chain
from vgpu_emu.memory import PAGE_SIZE, Memory, PassedFd
from vgpu_wire.context_stream import ExporterKind

ERRNOS = {name: number for number, name in errorcode.items()}


class Hands:
    """They reach into the host of a machine."""

    def __init__(self, parts: Parts) -> None:
        self._kernel = parts.kernel
        self._renderer = parts.renderer
        self._region = parts.region
        #: what system calls were before they were to fail
        self._undo: list[tuple[object, str, Any]] = []
        #: of requests that no driver made
        self._heads = count(1 << 31)

    # -- descriptors

    def let_go(self, item: Any) -> None:
        """A message is lost: the kernel closes the descriptors that were in it."""
        for passed in item[1] if isinstance(item, tuple) else ():
            self.drop(passed)

    def drop(self, passed: PassedFd) -> None:
        memory, vmm = passed.memory, self._renderer.vmm
        memory.release()
        buf = vmm.files.get(passed.fd)
        # a VMM that was restarted meanwhile may have given the number to another
        if buf is not None and (buf.memory is memory or not memory.holders):
            # whatever close(2) is to return
            Process.close(vmm, passed.fd)

    def copy(self, item: Any) -> Any:
        """The message once more: a request is another one, descriptors are others of the same buffers."""
        if isinstance(item, Chain):
            return replace(item, head=next(self._heads))
        if not isinstance(item, tuple):
            return item
        return item[0], tuple(again for fd, _ in item[1] for again in self._pass(self._renderer.vmm.file(fd)))

    def extra(self) -> tuple[PassedFd, ...]:
        """A descriptor of something that nobody asked for."""
        buf = self._kernel.dma_buf_export(Memory(PAGE_SIZE, None), EXPORTERS[ExporterKind.SILENT])
        try:
            return self._pass(buf)
        finally:
            self._kernel.put(buf)

    def _pass(self, buf: DmaBuf) -> tuple[PassedFd, ...]:
        """A descriptor of the VMM; without one, if its table takes none: the message arrives all the same."""
        try:
            return (PassedFd(self._renderer.vmm.install(buf), buf.memory.hold()),)
        except OSError:
            return ()

    def change_attribute(self, exporter: str) -> None:
        ops = EXPORTERS[ExporterKind[exporter.upper()]]
        for buf in self._kernel.live.values():
            buf.ops = ops

    # -- system calls

    def fail_next(self, fault: CallFails) -> None:
        """The next call of this kind raises; the one after it is as before."""
        owner, attribute = {
            "memfd_create": (self._renderer, "backing"),
            "ioctl": (self._renderer.vmm, "ioctl"),
            "recvmsg": (self._renderer.vmm, "install"),
            "close": (self._renderer.vmm, "close"),
            "mmap": (self._region, "map"),
        }[fault.call]
        error = OSError(ERRNOS[fault.errno], f"{fault.call}, by a fault")
        # close(2) of Linux has closed the descriptor, whatever it returns
        self._undo.append((owner, attribute, getattr(owner, attribute)))
        _fail_once(owner, attribute, error, before_that=fault.call == "close")

    def stop(self) -> None:
        """No system call fails any more."""
        while self._undo:
            setattr(*self._undo.pop())


def _fail_once(owner: object, attribute: str, error: OSError, *, before_that: bool) -> None:
    """The next call raises. before_that: it does its work all the same."""
    call: Callable[..., Any] = getattr(owner, attribute)

    def fails(*arguments: Any) -> Any:
        setattr(owner, attribute, call)
        if before_that:
            call(*arguments)
        raise error

    setattr(owner, attribute, fails)


def read_only(passed: PassedFd) -> PassedFd:
    """The descriptor, of the same memory, opened O_RDONLY."""
    memory = passed.memory
    fileno = None if memory.fileno is None else os.open(f"/proc/self/fd/{memory.fileno}", os.O_RDONLY | os.O_CLOEXEC)
    memory.release()
    return PassedFd(passed.fd, Memory(memory.size, fileno, writable=False))


def shortened(passed: PassedFd, size: int) -> PassedFd:
    """The descriptor of a memory that has only so many bytes."""
    had = passed.memory
    had.release()
    return PassedFd(passed.fd, Memory(min(size, had.size), None))


def zeroed(passed: PassedFd) -> PassedFd:
    """The descriptor of another memory of the same size, which nobody has written to."""
    size = passed.memory.size
    passed.memory.release()
    return PassedFd(passed.fd, Memory.memfd(size, "zero pages"))
