"""The guest's process of ``run --isolation process``: ``python -m vgpu_emu.cli.guest SOCKET``. It carries out jobs."""

from typing import Any

import msgspec

from vgpu_emu.cli.jobs import Job, carry_out
from vgpu_emu.link.seqpacket import Incoming
from vgpu_emu.processes.messages import Result
from vgpu_emu.processes.serving import Reply, Server, run


class RunScenario(msgspec.Struct, frozen=True):
    """A job -> its Outcome"""

    file: str
    id: str
    first: int
    seeds: int
    until: int | None
    is_golden: bool


class GuestResult(Result, frozen=True, kw_only=True):
    """value: an Outcome, in plain values."""


def _carry_out(call: RunScenario, _incoming: Incoming) -> Reply:
    seeds = range(call.first, call.first + call.seeds)
    return Reply(carry_out(Job(call.file, call.id, seeds, call.until, call.is_golden, "process")))


def _result(**values: Any) -> GuestResult:
    return GuestResult(**values)


if __name__ == "__main__":
    run(Server(RunScenario, _carry_out, _result))
