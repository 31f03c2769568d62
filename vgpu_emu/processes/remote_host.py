"""A host in another process, with the interface of `Renderer` as far as a machine uses it."""

import mmap
from collections.abc import Iterator
from typing import Any

from vgpu_emu.ids import ContextId, Fd, ResourceId
from vgpu_emu.link.seqpacket import close_all
from vgpu_emu.memory import PassedFd
from vgpu_emu.processes import host_calls as calls
from vgpu_emu.processes.messages import raise_failed, take, take_shown
from vgpu_emu.processes.party import Party, Tell
from vgpu_emu.vocabulary import HostAttribute
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
        return [ContextId(ctx_id) for ctx_id in self.call(calls.Observe())[0][1]]

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
    """For an observer: which resources there are. The number of a descriptor in the host stands for itself here."""

    def __init__(self, renderer: RemoteRenderer) -> None:
        self._renderer = renderer

    def __iter__(self) -> Iterator[ResourceId]:
        return iter(self._renderer.call(calls.Observe())[0][0])

    def __contains__(self, resource_id: ResourceId) -> bool:
        return self._renderer.call(calls.AttributeOf(resource_id))[0] is not None

    def __getitem__(self, resource_id: ResourceId) -> Fd:
        return Fd(resource_id)


class RemoteProcess:
    """For an observer: the host's memory."""

    def __init__(self, renderer: RemoteRenderer) -> None:
        self._renderer = renderer

    def mmap(self, fd: Fd, length: int, offset: int = 0) -> mmap.mmap:
        """Process.mmap of a descriptor that `RemoteResources` gave."""
        _, (passed,) = self._renderer.call(calls.Borrow(fd))
        try:
            return mmap.mmap(passed.memory.fileno or -1, length, offset=offset)
        finally:
            passed.memory.release()
