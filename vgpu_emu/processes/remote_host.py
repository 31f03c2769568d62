"""A host in another process, with the interface of `Renderer` as far as a machine uses it."""

import mmap
from collections.abc import Iterator
from errno import ENODEV
from typing import Any

import msgspec

from vgpu_emu.host.dmabuf import DmaBufOps
from vgpu_emu.ids import ContextId, Fd, ResourceId
from vgpu_emu.link.seqpacket import close_all
from vgpu_emu.memory import Memory, PassedFd
from vgpu_emu.processes import host_calls as calls
from vgpu_emu.processes.messages import raise_failed, take, take_shown
from vgpu_emu.processes.party import Party, Tell
from vgpu_emu.vocabulary import HostAttribute
from vgpu_wire.blob import MapCache
from vgpu_wire.renderer_link import Signal


class RemoteRenderer:
    """party: its process. tell: hears of what happens there before the call that did it returns.

    Every call raises PartyLostError.
    """

    def __init__(self, party: Party, tell: Tell) -> None:
        self.party = party
        self.rings = RemoteRings(self)
        self.resources = RemoteResources(self)
        self.process = RemoteProcess(self)
        self.vmm = RemoteVmm(self)
        self.kernel = RemoteKernel(self)
        #: descriptors that observers looked through
        self.borrowed: list[PassedFd] = []
        self._tell = tell

    def handle(self, data: bytes, now: float = 0.0) -> tuple[bytes, tuple[PassedFd, ...]]:
        """Renderer.handle; the descriptors are now this process's."""
        answer, passed = self.call(calls.Handle(bytes(data), now))
        return answer, passed

    def attribute_of(self, resource_id: ResourceId) -> HostAttribute:
        """Renderer.attribute_of"""
        return HostAttribute(self.call(calls.AttributeOf(resource_id))[0])

    @property
    def contexts(self) -> list[ContextId]:
        """For an observer."""
        return [ContextId(ctx_id) for ctx_id in self.observe().contexts]

    @property
    def guess(self) -> MapCache:
        raise AttributeError("the guess of another process's renderer can only be set")

    @guess.setter
    def guess(self, guess: MapCache) -> None:
        self.call(calls.Change(guess=guess))

    def observe(self) -> calls.Observed:
        observed = self.call(calls.Observe())[0]
        return self.party.understood(lambda: msgspec.convert(observed, calls.Observed))

    def end_vmm(self) -> None:
        """Renderer.end_vmm"""
        self.call(calls.VmmExit())

    def die(self) -> None:
        """Renderer.die"""
        self.call(calls.Die())

    def call(self, call: calls.Call) -> tuple[Any, tuple[PassedFd, ...]]:
        """What it returns, and the descriptors that come with it, which are now this process's."""
        result, fds = self.party.call(call)
        self.rings.next_due = result.next_due
        for seen, memory in take_shown(result.seen, fds):
            self._tell(seen, memory)
        passed = take(result.handed, fds)
        close_all(fds)
        raise_failed(result.failed)
        return result.value, passed


class RemoteRings:
    """next_due: as the host said last, which is how it is, as only calls change it."""

    def __init__(self, renderer: RemoteRenderer) -> None:
        self._renderer = renderer
        self.next_due: float | None = None

    def due(self, now: float) -> list[Signal]:
        """Rings.due; the host is not asked when it has nothing to say."""
        if self.next_due is None or self.next_due > now:
            return []
        return [Signal.parse(data) for data in self._renderer.call(calls.Due(now))[0]]


class RemoteResources:
    """For an observer: which resources there are. A resource's id stands for its descriptor in the host."""

    def __init__(self, renderer: RemoteRenderer) -> None:
        self._renderer = renderer

    def __iter__(self) -> Iterator[int]:
        return iter(self._renderer.observe().resources)

    def __len__(self) -> int:
        return len(self._renderer.observe().resources)

    def __contains__(self, resource_id: object) -> bool:
        return resource_id in self._renderer.observe().resources

    def __getitem__(self, resource_id: ResourceId) -> Fd:
        return Fd(resource_id)

    def get(self, resource_id: ResourceId) -> Fd | None:
        return Fd(resource_id) if resource_id in self else None


class RemoteProcess:
    """For an observer: the host's buffers, by the descriptors that `RemoteResources` gives."""

    def __init__(self, renderer: RemoteRenderer) -> None:
        self._renderer = renderer

    def file(self, fd: Fd) -> "RemoteBuffer":
        return RemoteBuffer(self._renderer, fd)

    def mmap(self, fd: Fd, length: int, offset: int = 0) -> mmap.mmap:
        """Process.mmap"""
        fileno = self.file(fd).memory.fileno
        if fileno is None:
            raise OSError(ENODEV, "a size-only backing has no bytes")
        return mmap.mmap(fileno, length, offset=offset)


class RemoteBuffer:
    """For an observer: a dma-buf of the host."""

    def __init__(self, renderer: RemoteRenderer, fd: Fd) -> None:
        self._renderer = renderer
        self._fd = fd

    @property
    def memory(self) -> Memory:
        """Its memory in this process, until the machine is closed."""
        _, (passed,) = self._renderer.call(calls.Borrow(self._fd))
        self._renderer.borrowed.append(passed)
        return passed.memory

    @property
    def ops(self) -> DmaBufOps:
        raise AttributeError("of another process's exporter only the attribute is known")

    @ops.setter
    def ops(self, ops: DmaBufOps) -> None:
        self._renderer.call(calls.Change(exporter=(self._fd, ops.name)))


class RemoteVmm:
    """For an observer: the descriptors of the VMM, in the host's kernel."""

    def __init__(self, renderer: RemoteRenderer) -> None:
        self._renderer = renderer

    @property
    def files(self) -> list[int]:
        return self._renderer.observe().vmm_fds


class RemoteKernel:
    """For an observer: the host's kernel."""

    def __init__(self, renderer: RemoteRenderer) -> None:
        self._renderer = renderer

    @property
    def live(self) -> list[int]:
        return self._renderer.observe().dma_bufs

    @property
    def max_fds(self) -> int:
        raise AttributeError("the limit of another process's kernel can only be set")

    @max_fds.setter
    def max_fds(self, number: int) -> None:
        self._renderer.call(calls.Change(max_fds=number))
