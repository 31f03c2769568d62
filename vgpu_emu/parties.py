"""The VMM's and the host's tasks: what carries the bytes between a core and its links."""

from typing import TypeVar

import trio

from vgpu_emu.host.renderer import Renderer
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import Parcel, Port
from vgpu_emu.link.vring import VringError
from vgpu_emu.vmm.asking import Steps, parse_reply
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.fences import timeline_of
from vgpu_wire.renderer_link import Question, Signal

T = TypeVar("T")


class Vmm:
    """The VMM around a device. asked: the question that the host has not answered yet."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.asked: Question | None = None

    async def run(self, guest: Port[list[Used], list[Chain]], host: Port[Parcel, Parcel]) -> None:
        """Carry out every chain of a kick, then interrupt once. Broken rings end it: DEVICE_NEEDS_RESET."""
        try:
            while True:
                completed = []
                for chain in await guest.receive():
                    used = self.device.handle(chain)
                    if used is not None and not isinstance(used, Used):
                        used = await self.carry(used, host)
                    if used is not None:
                        completed.append(used)
                if completed:
                    guest.send(completed)
        except VringError as broken:
            self.device.fail(str(broken))

    async def run_fences(self, guest: Port[list[Used], list[Chain]], host: Port[bytes, bytes]) -> None:
        """The other task: fences that the host signals complete what waits for them."""
        while True:
            signal = Signal.parse(await host.receive())
            if completed := self.device.signal(timeline_of(signal), signal.fence_id):
                try:
                    guest.send(completed)
                except VringError as broken:
                    self.device.fail(str(broken))

    async def carry(self, steps: Steps[T], host: Port[Parcel, Parcel]) -> T:
        """Have the host answer every question of these steps: what they return."""
        try:
            question = next(steps)
            while True:
                self.asked = question
                host.send((question.build(), ()))
                reply = parse_reply(*await host.receive())
                self.asked = None
                question = steps.send(reply)
        except StopIteration as done:
            value: T = done.value
            return value


async def run_host(renderer: Renderer, vmm: Port[Parcel, Parcel], fences: Port[bytes, bytes]) -> None:
    """The host's task: answer questions, and signal fences when their work is done."""
    while True:
        question: Parcel | None = None
        if renderer.rings.next_due is None:
            question = await vmm.receive()
        else:
            with trio.move_on_at(renderer.rings.next_due):
                question = await vmm.receive()
        now = trio.current_time()
        for signal in renderer.rings.due(now):
            fences.send(signal.build())
        if question is not None:
            vmm.send(renderer.handle(question[0], now))
