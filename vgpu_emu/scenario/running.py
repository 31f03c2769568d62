"""Carrying out a scenario: its steps one after the other, and the end, when nothing may be left."""

import traceback
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import trio

from vgpu_emu.assembly import Config
from vgpu_emu.faults.plan import Fault
from vgpu_emu.machine import open_machine
from vgpu_emu.processes.party import PartyLostError
from vgpu_emu.scenario.carrying import carry_out
from vgpu_emu.scenario.configuring import config_of
from vgpu_emu.scenario.expect import Mismatch
from vgpu_emu.scenario.insides import conflicts_in, leaks, lost, pending_faults
from vgpu_emu.scenario.leftovers import Process, exit_programs, unexpected
from vgpu_emu.scenario.outcome import Failed, Failure, Outcome, Result
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.steps import Step
from vgpu_emu.scenario.world import World
from vgpu_emu.shell import DriverShell
from vgpu_emu.trace.log import Event

_EXIT = "when the programs have exited"


class Opener(Protocol):
    """Who makes the machine that a scenario asks for."""

    def __call__(self, config: Config, /, *, faults: Iterable[Fault]) -> AbstractAsyncContextManager[DriverShell]: ...


async def play(scenario: Scenario, *, opener: Opener = open_machine, until: int | None = None) -> Outcome:
    """Run a scenario on a machine of its own, under the clock of the caller. until: stop after so many steps.

    A bug of the emulator is an outcome, with what happened before it. Raises PartyLostError, and ProfileError and
    ValueError for a machine that cannot be made.
    """
    process, config = Process(), config_of(scenario)
    before = trio.lowlevel.current_statistics().tasks_living
    player = _Player(scenario, until)
    try:
        async with opener(config, faults=scenario.fault) as machine:
            await player.play(machine)
    except PartyLostError:
        raise
    except Exception as error:
        lost = isinstance(error, ExceptionGroup) and error.subgroup(PartyLostError) is not None
        if lost or not player.events:
            # of a lost party whoever runs it tells; without events there was no machine yet
            raise
        return player.outcome(Result.CRASH, traceback.format_exc())
    if player.failure is None:
        tasks = trio.lowlevel.current_statistics().tasks_living - before
        left = [f"{tasks} tasks"] if tasks else []
        player.end([*left, *leaks(machine), *process.left()], [])
    return player.outcome(Result.FAIL if player.failure else Result.SUCCESS)


class _Player:
    """steps: how many were carried out, those inside of others not counted."""

    def __init__(self, scenario: Scenario, until: int | None) -> None:
        self.scenario = scenario
        self.until = until
        self.steps = 0
        self.failure: Failure | None = None
        self.events: list[Event] = []

    def outcome(self, result: Result, detail: str = "") -> Outcome:
        return Outcome(
            id=self.scenario.id,
            result=result,
            steps=self.steps,
            failure=self.failure,
            events=self.events,
            detail=detail,
        )

    async def play(self, machine: DriverShell) -> None:
        try:
            await self._play(machine)
        finally:
            self.events = self.events or list(machine.log.events)

    async def _play(self, machine: DriverShell) -> None:
        async with trio.open_nursery() as nursery:
            world = World(machine, self.scenario, nursery)
            world.carry_out = lambda step: carry_out(world, step)
            nursery.start_soon(world.interrupts)
            try:
                await self._steps(world)
                self.events = list(machine.log.events)
                if self.until is None:
                    await self._end(world)
                    self._look_for_faults(world)
            except Failed as failed:
                self.failure = failed.failure
            nursery.cancel_scope.cancel()

    async def _steps(self, world: World) -> None:
        for step in self.scenario.step[: self.until]:
            start = len(world.log.events)
            self.steps += 1
            await carry_out(world, step)
            _look_for_conflicts(world, step, start)

    async def _end(self, world: World) -> None:
        """The programs exit, unless one of them sleeps in the kernel for ever."""
        if not any(running.hangs() for running in world.pending.values()):
            left = await exit_programs(world)
            if (reason := lost(world.machine)) is not None:
                raise Failed(Failure("end", _EXIT, [Mismatch("device", "works", reason)]))
            self.end(left, self.scenario.end.left)

    def _look_for_faults(self, world: World) -> None:
        """A fault that has not happened shows nothing. Raises Failed."""
        pending = [] if self.failure else pending_faults(world.machine)
        found = [Mismatch("fault", repr(fault), "it has not happened, or not so often") for fault in pending]
        if found:
            raise Failed(Failure("fault", "what should have gone wrong", found))

    def end(self, left: list[str], expected: list[str]) -> None:
        """Compare what is left with what may be."""
        surplus, missing = unexpected(left, expected)
        found = [Mismatch("left", "nothing", thing) for thing in surplus]
        found += [Mismatch("left", thing, "nothing of the kind") for thing in missing]
        if found:
            self.failure = Failure("end", _EXIT, found)


def _look_for_conflicts(world: World, step: Step, start: int) -> None:
    """Raises Failed for a conflict that was not expected, and for one that was and is not there."""
    found = conflicts_in(world.machine, world.log.events[start:])
    told = step.expect.conflicts()
    unforeseen = [conflict for conflict in found if not any(words in conflict for words in told)]
    missing = [words for words in told if not any(words in conflict for conflict in found)]
    wrong = [Mismatch("conflict", "none, or none of this kind", conflict) for conflict in unforeseen]
    wrong += [Mismatch("conflict", words or "some", "none of the kind") for words in missing]
    if wrong:
        raise Failed(Failure(world.paths[id(step)], step.title, wrong))
