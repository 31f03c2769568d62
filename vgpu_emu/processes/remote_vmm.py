"""A VMM in another process, with the interface of `Device` as far as a machine uses it."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

from vgpu_emu.ids import ResourceId
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.seqpacket import close_all
from vgpu_emu.memory import let_go
from vgpu_emu.processes import vmm_calls as calls
from vgpu_emu.processes.messages import Asks, Done, hand, raise_failed, take_shown
from vgpu_emu.processes.party import Party, Tell
from vgpu_emu.trace.log import Log
from vgpu_emu.vmm.asking import Reply, Steps
from vgpu_emu.vmm.displays import Scanout
from vgpu_emu.vmm.fences import Timeline
from vgpu_emu.vmm.picture import Picture
from vgpu_emu.vmm.snapshot import blob_of, image_of
from vgpu_emu.vmm.snapshot_state import Snapshot, SnapshotError, parse
from vgpu_emu.vmm.state import Resource
from vgpu_wire.device import Config, Feature
from vgpu_wire.renderer_link import parse_question


class RemoteDevice:
    """party: its process. log: the machine's. tell: hears of what happens there before the call that did it returns.

    Every call raises PartyLostError.
    """

    def __init__(self, party: Party, log: Log, tell: Tell) -> None:
        self.party = party
        self.displays = RemoteDisplays(self)
        self.fences = RemoteFences(self)
        self.log = log
        self.dead: str | None = None
        self.needs_reset: str | None = None
        self._tell = tell

    @property
    def silent(self) -> bool:
        return self.dead is not None or self.needs_reset is not None

    @property
    def config(self) -> Config:
        return self.party.understood(partial(Config.parse, self.call(calls.ReadConfig())))

    def negotiate(self, features: frozenset[Feature]) -> bool:
        return bool(self.call(calls.Negotiate([int(feature) for feature in features])))

    def handle(self, chain: Chain) -> Used | Steps[Used | None] | None:
        """Device.handle"""
        outcome = self._outcome(calls.Handle(chain.head, chain.queue, bytes(chain.readable), chain.capacity))
        if isinstance(outcome, Asks):
            return self._carry(outcome, Used | None)
        used: Used | None = self._read(outcome.value, Used | None)
        return used

    def signal(self, timeline: Timeline, fence_id: int) -> list[Used]:
        return self.used(calls.Signal(timeline, fence_id))

    @property
    def resources(self) -> dict[ResourceId, Resource]:
        """For an observer: copies, without the dma-bufs of blobs."""
        state = self.state()
        blobs = [blob_of(blob) for blob in state.blobs]
        for blob, was in zip(blobs, state.blobs, strict=True):
            blob.offset, blob.map_info = was.offset, was.map_info
        found: list[Resource] = [*map(image_of, state.images), *blobs]
        return {resource.resource_id: resource for resource in found}

    @property
    def contexts(self) -> list[int]:
        """For an observer."""
        return [context.ctx_id for context in self.state().contexts]

    def state(self) -> Snapshot:
        return self.party.understood(partial(parse, self.snapshot()))

    def fail(self, reason: str) -> None:
        self.call(calls.Fail(reason))

    def reset(self) -> Steps[None]:
        """Device.reset"""
        return self._steps(calls.Reset(), type(None))

    def screen(self, scanout_id: int) -> Picture | None:
        """scanout_picture"""
        picture: Picture | None = self._read(self.call(calls.Screen(scanout_id)), Picture | None)
        return picture

    def snapshot(self) -> bytes:
        """snapshot.take"""
        return bytes(self.call(calls.Snapshot()))

    def restore(self, data: bytes) -> Steps[list[Used]]:
        """snapshot.restore"""
        return self._steps(calls.Restore(data), list[Used])

    # -- calls that ask

    def _steps(self, call: calls.Call, returns: Any) -> Steps[Any]:
        return (yield from self._carry(self._outcome(call), returns))

    def _carry(self, outcome: Asks | Done, returns: Any) -> Steps[Any]:
        """Let the VMM's questions be answered until it has none."""
        while isinstance(outcome, Asks):
            try:
                reply = yield self.party.understood(partial(parse_question, outcome.question))
            except GeneratorExit:
                if self.party.lost is None:
                    self.call(calls.Abandon(outcome.steps))
                raise
            outcome = self._resume(outcome.steps, reply)
        return self._read(outcome.value, returns)

    def _resume(self, steps: int, reply: Reply) -> Asks | Done:
        handed, fds = hand(reply.fds)
        try:
            return self._outcome(calls.Resume(steps, reply.answer.build(), handed), fds)
        finally:
            let_go(reply.fds)

    def used(self, call: calls.Call) -> list[Used]:
        used: list[Used] = self._read(self.call(call), list[Used])
        return used

    def _outcome(self, call: calls.Call, fds: Sequence[int] = ()) -> Asks | Done:
        outcome: Asks | Done = self._read(self.call(call, fds), Asks | Done)
        return outcome

    def _read(self, value: Any, returns: Any) -> Any:
        return self.party.understood(partial(msgspec.convert, value, returns))

    def call(self, call: calls.Call, fds: Sequence[int] = ()) -> Any:
        result, received = self.party.call(call, fds)
        self.dead, self.needs_reset = result.dead, result.needs_reset
        for seen, memory in take_shown(result.seen, received):
            self._tell(seen, memory)
        close_all(received)
        raise_failed(result.failed, SnapshotError)
        return result.value


class RemoteDisplays:
    """Displays, as far as a driver's transport and a user use them."""

    def __init__(self, device: RemoteDevice) -> None:
        self._device = device

    @property
    def scanouts(self) -> list[Scanout]:
        """For an observer: copies."""
        return list(self._device.state().scanouts)

    def clear_events(self, events: int) -> None:
        self._device.call(calls.ClearEvents(events))

    def plug(self, scanout_id: int, width: int, height: int) -> None:
        """Raises IndexError, ValueError."""
        self._device.call(calls.Plug(scanout_id, (width, height)))

    def unplug(self, scanout_id: int) -> None:
        """Raises IndexError."""
        self._device.call(calls.Plug(scanout_id, None))


class RemoteFences:
    """Fences, for an observer, and their end."""

    def __init__(self, device: RemoteDevice) -> None:
        self._device = device

    def __iter__(self) -> Iterator[tuple[Timeline, int, Used]]:
        for state in self._device.state().fences:
            yield (state.ctx_id, state.ring_idx), state.fence_id, Used(state.head, state.queue, state.written)

    @property
    def count(self) -> int:
        return len(list(self))

    def fail(self) -> list[Used]:
        """Fences.fail"""
        return self._device.used(calls.FailFences())
