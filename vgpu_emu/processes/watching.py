"""Whether a party's process is still there, while nobody asks it anything."""

import os

import trio

from vgpu_emu.processes.party import Party


async def watch(party: Party, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Until the process dies. Raises PartyLostError, unless whoever called it then has found out first."""
    pidfd = os.pidfd_open(party.pid)
    try:
        task_status.started()
        await trio.lowlevel.wait_readable(pidfd)
    finally:
        os.close(pidfd)
    if party.lost is None and not party.closed:
        raise party.died()
