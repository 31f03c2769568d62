"""The guest's process, seen from outside: scenarios are carried out there, and what becomes of it is an outcome."""

import sys
from math import inf

from msgspec import convert

from vgpu_emu.cli.guest import GuestResult, RunScenario
from vgpu_emu.cli.jobs import Job
from vgpu_emu.processes.messages import raise_failed
from vgpu_emu.processes.party import Party, PartyLostError
from vgpu_emu.scenario.outcome import Outcome, Result
from vgpu_emu.trace.log import GUEST

_COMMAND = (sys.executable, "-P", "-m", "vgpu_emu.cli.guest")


class Guests:
    """One process after the other: a new one is started when the last is lost. glance: how often it is looked at while
    it works, in seconds: a stopped one is found after so long."""

    def __init__(self, glance: float = 2.0) -> None:
        self._glance = glance
        self._party: Party | None = None

    @property
    def pid(self) -> int | None:
        return None if self._party is None else self._party.pid

    def carry_out(self, job: Job) -> Outcome:
        """What the guest's process makes of it; of one that is lost, a failure that says how."""
        if self._party is None:
            self._party = Party(GUEST, _COMMAND, GuestResult, self._glance, patience=inf)
        party = self._party
        call = RunScenario(job.file, job.id, job.seeds[0], len(job.seeds), job.until, job.is_golden)
        try:
            result, _ = party.call(call)
            raise_failed(result.failed)
            return party.understood(lambda: convert(result.value, Outcome))
        except PartyLostError as lost:
            self.close()
            return Outcome(id=job.id, file=job.file, seed=job.seeds[0], result=Result.FAIL, detail=str(lost))

    def close(self) -> None:
        if self._party is not None:
            self._party.close()
            self._party = None
