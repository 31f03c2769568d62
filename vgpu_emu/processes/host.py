"""The host's process: ``python -m vgpu_emu.processes.host SOCKET``."""

from collections.abc import Iterable
from typing import Any

from vgpu_emu.host.dmabuf import DmaBuf, Kernel
from vgpu_emu.host.exporters import OPS
from vgpu_emu.host.renderer import Renderer
from vgpu_emu.ids import Fd, ResourceId
from vgpu_emu.link.seqpacket import Incoming
from vgpu_emu.memory import Memory, PassedFd
from vgpu_emu.processes import host_calls as calls
from vgpu_emu.processes.messages import Exported, Released
from vgpu_emu.processes.serving import Reply, Server, insides, run


class Host:
    """A renderer and its kernel, called from another process."""

    def __init__(self) -> None:
        self.kernel = Kernel(None)
        self.renderer = Renderer(self.kernel)
        self.server = Server(calls.Call, self.carry_out, self.result)

    def carry_out(self, call: calls.Call, _incoming: Incoming) -> Reply:
        match call:
            case calls.Assemble():
                self.kernel = WatchedKernel(self.server, call) if call.watched else call.setup.kernel()
                self.renderer = call.setup.renderer(self.kernel, _no_bytes if call.size_only else Memory.memfd)
                return Reply()
            case calls.Handle():
                return Reply(*self.renderer.handle(call.data, call.now))
            case calls.Due():
                return Reply([signal.build() for signal in self.renderer.rings.due(call.now)])
            case calls.AttributeOf():
                known = ResourceId(call.resource_id) in self.renderer.resources
                return Reply(self.renderer.attribute_of(ResourceId(call.resource_id)) if known else None)
            case calls.Borrow():
                return Reply(None, (self._borrow(ResourceId(call.resource_id)),))
            case calls.Observe():
                renderer = self.renderer
                tables: list[Iterable[int]] = [renderer.resources, renderer.contexts, self.kernel.live]
                return Reply(calls.Observed(*map(sorted, [*tables, renderer.vmm.files])))
            case calls.Change():
                self._change(call)
                return Reply()
            case calls.VmmExit():
                self.renderer.end_vmm()
                return Reply()
            case calls.Die():
                self.renderer.die()
                return Reply()
            case calls.Left():
                return Reply(self._left())
            case calls.Insides():
                return Reply(insides())
            case calls.Exit():
                self.renderer.exit()
                return Reply(self._left())

    def result(self, **values: Any) -> calls.HostResult:
        return calls.HostResult(next_due=self.renderer.rings.next_due, **values)

    def _borrow(self, resource_id: ResourceId) -> PassedFd:
        fd = self.renderer.resources.get(resource_id, Fd(-1))
        return PassedFd(fd, self.renderer.process.file(fd).memory.hold())

    def _change(self, call: calls.Change) -> None:
        if call.exporter is not None:
            resource_id, name = call.exporter
            fd = self.renderer.resources.get(ResourceId(resource_id), Fd(-1))
            self.renderer.process.file(fd).ops = OPS[name]
        if call.guess is not None:
            self.renderer.guess = call.guess
        if call.max_fds is not None:
            self.kernel.max_fds = call.max_fds

    def _left(self) -> list[str]:
        return [f"dma-buf {buf.inode} ({buf.memory!r})" for buf in self.kernel.live.values()]


def _no_bytes(size: int, _name: str) -> Memory:
    return Memory(size, None)


class WatchedKernel(Kernel):
    """A host kernel that tells of its dma-bufs, for who looks at all mappings."""

    def __init__(self, server: Server, call: calls.Assemble) -> None:
        super().__init__(call.setup.posting, max_fds=call.setup.max_fds)
        self._server = server

    def dma_buf_export(self, memory: Any, ops: Any) -> DmaBuf:
        buf = super().dma_buf_export(memory, ops)
        self._server.saw(Exported(buf.inode, memory.size, ops.name, memory.identity))
        return buf

    def put(self, buf: DmaBuf) -> None:
        # the last reference closes the memory
        identity = buf.memory.identity
        super().put(buf)
        if not buf.refs:
            self._server.saw(Released(identity))


if __name__ == "__main__":
    run(Host().server)
