"""`check_device_async` on a device behind a vhost-user socket."""

import trio.testing
from lying_backend import OurDevice

from vgpu_emu.testing import check_device_async


async def test_device_behind_a_socket_passes(autojump_clock: trio.testing.MockClock, nothing_left: None) -> None:
    await check_device_async(OurDevice().open)
