"""The VMM's process: ``python -m vgpu_emu.processes.vmm SOCKET``."""

import mmap
from collections.abc import Callable
from itertools import count
from typing import Any

from vgpu_emu.ids import Fd
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.region import HostVisibleRegion, Slot
from vgpu_emu.link.seqpacket import Incoming, close_all
from vgpu_emu.memory import Memory, PassedFd
from vgpu_emu.processes import vmm_calls as calls
from vgpu_emu.processes.messages import Asks, Done, Hidden, Noted, Shown, take
from vgpu_emu.processes.serving import Reply, Server, insides, run
from vgpu_emu.trace.log import Log
from vgpu_emu.vmm.asking import Steps, parse_reply
from vgpu_emu.vmm.catalogue import find_profile
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.picture import scanout_picture
from vgpu_emu.vmm.snapshot import restore
from vgpu_emu.vmm.snapshot import take as snapshot
from vgpu_emu.vmm.state import Blob
from vgpu_wire.device import Feature


class MappedRegion(HostVisibleRegion):
    """A host visible region whose slots are really mapped in this process, and told to the machine."""

    def __init__(self, size: int, page: int, server: Server) -> None:
        super().__init__(size, page)
        self._server = server
        self._pages: dict[int, mmap.mmap] = {}

    def _add(self, slot: Slot) -> None:
        real = slot.memory.fileno is not None
        if slot.memory.fileno is not None:
            self._pages[slot.offset] = mmap.mmap(slot.memory.fileno, slot.length, offset=slot.start)
        super()._add(slot)
        shown = Shown(slot.offset, slot.length, slot.start, slot.memory.size, real)
        self._server.saw(shown, *([PassedFd(Fd(0), slot.memory.hold())] if real else []))

    def _drop(self, slot: Slot) -> None:
        super()._drop(slot)
        if slot.offset in self._pages:
            self._pages.pop(slot.offset).close()
        self._server.saw(Hidden(slot.offset))


class Vmm:
    """A device and its region, called from another process."""

    def __init__(self) -> None:
        self.server = Server(calls.Call, self.carry_out, self.result)
        self.device: Device | None = None
        #: what waits for a reply of the renderer
        self._steps: dict[int, Steps[Any]] = {}
        self._names = count(1)

    def carry_out(self, call: calls.Call, incoming: Incoming) -> Reply:
        if isinstance(call, calls.Assemble):
            return self._assemble(call, incoming)
        if isinstance(call, calls.Resume):
            fds = iter(incoming.fds)
            reply = parse_reply(call.answer, take(call.handed, fds))
            close_all(fds)
            return Reply(self._go(call.steps, lambda steps: steps.send(reply)))
        close_all(incoming.fds)
        if isinstance(call, calls.Insides):
            return Reply(insides())
        if self.device is None:
            raise ValueError(f"{type(call).__name__} before Assemble")
        return Reply(_OF_DEVICE[type(call)](self, self.device, call))

    def result(self, **values: Any) -> calls.VmmResult:
        if self.device is None:
            return calls.VmmResult(**values)
        return calls.VmmResult(dead=self.device.dead, needs_reset=self.device.needs_reset, **values)

    def _assemble(self, call: calls.Assemble, incoming: Incoming) -> Reply:
        memory = GuestMemory(sparse=call.sparse_memory)
        if call.guest_memory:
            memory.add(0, Memory.received(incoming.fds[0]).map())
        log = Log()
        log.listeners.append(lambda note: self._noted(log, note))
        region = MappedRegion(call.host_visible, call.host_page, self.server)
        self.device = call.setup.device(find_profile(call.profile), region, memory, log)
        self.device.needs_reset = call.needs_reset
        return Reply()

    def _noted(self, log: Log, note: Any) -> None:
        self.server.saw(Noted(note.who, note.name, note.values))
        # the machine keeps the log
        log.clear()

    def start(self, steps: Steps[Any]) -> Asks | Done:
        name = next(self._names)
        self._steps[name] = steps
        return self._go(name, next)

    def _go(self, name: int, resume: Callable[[Steps[Any]], Any]) -> Asks | Done:
        try:
            steps = self._steps[name]
            return Asks(name, resume(steps).build())
        except StopIteration as done:
            del self._steps[name]
            return Done(done.value)
        except (OSError, ValueError):
            del self._steps[name]
            raise

    def abandon(self, name: int) -> None:
        if name in self._steps:
            self._steps.pop(name).close()

    def exit(self, device: Device) -> list[str]:
        device.region.clear()
        for resource in device.resources.values():
            if isinstance(resource, Blob) and resource.exported is not None:
                resource.exported.memory.release()
        device.resources.clear()
        return left(device)


def left(device: Device) -> list[str]:
    return [f"mapping at {slot.offset:#x} ({slot.memory!r})" for slot in device.region]


def _handle(vmm: Vmm, device: Device, call: calls.Handle) -> Asks | Done:
    used = device.handle(Chain(call.head, call.queue, call.readable, call.capacity))
    return Done(used) if used is None or isinstance(used, Used) else vmm.start(used)


def _plug(_vmm: Vmm, device: Device, call: calls.Plug) -> None:
    if call.size is None:
        device.displays.unplug(call.scanout_id)
    else:
        device.displays.plug(call.scanout_id, *call.size)


#: call -> what carries it out
_OF_DEVICE: dict[type, Callable[[Vmm, Device, Any], Any]] = {
    calls.Negotiate: lambda _, device, call: device.negotiate(frozenset(map(Feature, call.features))),
    calls.Handle: _handle,
    calls.Abandon: lambda vmm, _, call: vmm.abandon(call.steps),
    calls.Signal: lambda _, device, call: device.signal(call.timeline, call.fence_id),
    calls.Fail: lambda _, device, call: device.fail(call.reason),
    calls.Reset: lambda vmm, device, _: vmm.start(device.reset()),
    calls.Snapshot: lambda _, device, call: snapshot(device),
    calls.Restore: lambda vmm, device, call: vmm.start(restore(device, call.data)),
    calls.ReadConfig: lambda _, device, call: device.config.build(),
    calls.ClearEvents: lambda _, device, call: device.displays.clear_events(call.events),
    calls.Plug: _plug,
    calls.Screen: lambda _, device, call: scanout_picture(device, call.scanout_id),
    calls.FailFences: lambda _, device, call: device.fences.fail(),
    calls.Left: lambda _, device, call: left(device),
    calls.Exit: lambda vmm, device, _: vmm.exit(device),
}


if __name__ == "__main__":
    run(Vmm().server)
