"""A VMM that takes over hears nothing of what was said to the one before, wherever that was on its way."""

import trio
from trio.testing import wait_all_tasks_blocked

from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import open_link
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.parties import Vmm
from vgpu_emu.vmm.fences import GLOBAL
from vgpu_wire.renderer_link import Signal

SIGNAL = Signal(is_global=1, fence_id=7).build()


async def test_signal_that_is_in_the_link_or_just_received_is_not_the_next_vmm_s() -> None:
    guest, queue = open_link(list[Chain], list[Used])
    host, _questions = open_link(tuple, tuple)
    fences, signals = open_link(bytes, bytes)
    with Lockstep() as first, Lockstep() as second:
        device = second.parts.device
        device.fences.park(GLOBAL, 7, Used(0, 0, bytes(24)))
        vmm = Vmm(first.parts.device, queue, host, fences)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(vmm.run_fences)
            await wait_all_tasks_blocked()
            # one is handed to the task that waits, one stays in the link
            signals.send(SIGNAL)
            signals.send(SIGNAL)
            vmm.replace(device)
            await wait_all_tasks_blocked()
            assert device.fences.count == 1
            signals.send(SIGNAL)
            await wait_all_tasks_blocked()
            assert device.fences.count == 0
            assert [used.head for used in await guest.receive()] == [0]
            nursery.cancel_scope.cancel()


def test_edid_of_a_real_display_is_the_next_vmm_s_too() -> None:
    with Lockstep() as machine:
        machine.parts.device.displays.edids[0] = b"the user's"
        assert machine.parts.restarted().device.displays.edids == {0: b"the user's"}
