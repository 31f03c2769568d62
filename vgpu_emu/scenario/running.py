"""Carrying out a scenario: step after step, each looked at when it is over."""

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from errno import errorcode

import trio

from vgpu_emu.assembly import Config
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.scenario.configuring import config_of
from vgpu_emu.scenario.expect import Mismatch, mismatches
from vgpu_emu.scenario.insides import conflicts_in, device_state
from vgpu_emu.scenario.leftovers import Process, exit_programs, unexpected
from vgpu_emu.scenario.outcome import Failure, Outcome, Result
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.seen import Given, Seen
from vgpu_emu.scenario.steps import Step, StepError
from vgpu_emu.scenario.world import FOREVER, World
from vgpu_emu.trace.log import Event, Log

#: who makes the machine that a scenario asks for
Opener = Callable[[Config], AbstractAsyncContextManager[Machine]]


class Failed(Exception):  # noqa: N818 - the scenario's, not ours
    """A step did not go as expected."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.title)
        self.failure = failure


async def play(scenario: Scenario, *, opener: Opener = open_machine, until: int | None = None) -> Outcome:
    """Run a scenario on a machine of its own, under the clock of the caller. until: stop after so many steps.

    Raises ProfileError and ValueError for a machine that cannot be made.
    """
    process, config = Process(), config_of(scenario)
    before = trio.lowlevel.current_statistics().tasks_living
    player = _Player(scenario, until)
    async with opener(config) as machine:
        await player.play(machine)
    if player.failure is None:
        tasks = trio.lowlevel.current_statistics().tasks_living - before
        left = [f"{tasks} tasks"] if tasks else []
        player.end([*left, *machine.parts.leaks(), *process.left()], [])
    return Outcome(
        id=scenario.id,
        result=Result.FAIL if player.failure else Result.SUCCESS,
        steps=player.steps,
        failure=player.failure,
        events=player.events,
    )


class _Player:
    """steps: how many were carried out, those inside of others not counted."""

    def __init__(self, scenario: Scenario, until: int | None) -> None:
        self.scenario = scenario
        self.until = until
        self.steps = 0
        self.failure: Failure | None = None
        self.events: list[Event] = []

    async def play(self, machine: Machine) -> None:
        async with trio.open_nursery() as nursery:
            world = World(machine, self.scenario, nursery)
            world.carry_out = lambda step, path: carry_out(world, step, path)
            nursery.start_soon(world.interrupts)
            try:
                await self._steps(world)
                self.events = list(machine.log.events)
                if self.until is None:
                    self.end(await exit_programs(world), self.scenario.end.left)
            except Failed as failed:
                self.failure = failed.failure
                self.events = list(machine.log.events)
            nursery.cancel_scope.cancel()

    async def _steps(self, world: World) -> None:
        for number, step in enumerate(self.scenario.step[: self.until]):
            start = len(world.log.events)
            self.steps += 1
            await carry_out(world, step, f"step[{number}]")
            _look_for_conflicts(world, step, f"step[{number}]", start)

    def end(self, left: list[str], expected: list[str]) -> None:
        """Compare what is left with what may be."""
        surplus, missing = unexpected(left, expected)
        found = [Mismatch("left", "nothing", thing) for thing in surplus]
        found += [Mismatch("left", thing, "nothing of the kind") for thing in missing]
        if found:
            self.failure = Failure("end", "when the programs have exited", found)


async def carry_out(world: World, step: Step, path: str) -> None:
    """Do a step and compare what is seen with what it expects. Raises Failed."""
    note(world.log, step, path)
    start, began = len(world.log.events), trio.current_time()
    running = _Running(world, step, path)
    world.nursery.start_soon(running.run)
    with trio.move_on_after(FOREVER):
        await running.over.wait()
    passed = trio.current_time() - began
    await world.quiet()
    seen = Seen(
        events=world.log.events,
        start=start,
        commands=step.commands,
        given=running.given,
        errno=running.errno,
        error=running.error,
        hangs=running.hangs(),
        seconds=passed,
        device=device_state(world.machine.parts),
    )
    if found := [*running.found, *mismatches(step.expect, seen)]:
        raise Failed(Failure(path, step.title, found))


def note(log: Log, step: Step, path: str) -> None:
    log.note("scenario", path, does=step.title, **({"because": step.comment} if step.comment else {}))


class _Running:
    """A step on its way, in a task of its own: what never returns is left where it is."""

    def __init__(self, world: World, step: Step, path: str) -> None:
        self.world = world
        self.step = step
        self.path = path
        self.over = trio.Event()
        self.given = Given()
        self.errno: str | None = None
        self.error = ""
        self.found: list[Mismatch] = []
        self._task: trio.lowlevel.Task | None = None

    async def run(self) -> None:
        self._task = trio.lowlevel.current_task()
        try:
            self.given = await self.step.act(self.world)
            if self.step.as_ is not None:
                self.world.names[self.step.as_] = self.given.named
        except OSError as refused:
            self.errno = errorcode.get(refused.errno or 0, str(refused.errno))
            self.error = refused.strerror or os.strerror(refused.errno or 0)
        except StepError as senseless:
            self.found.append(Mismatch(senseless.member, "something that can be done", str(senseless)))
        if self.given.resource_id is None:
            self.given.resource_id = self.step.about(self.world)
        self.over.set()

    def hangs(self) -> str | None:
        """What the step waits for, if it is not over."""
        if self.over.is_set() or self._task is None:
            return None
        return self.world.waits.get(self._task, "something inside of it")


def _look_for_conflicts(world: World, step: Step, path: str, start: int) -> None:
    """Raises Failed for a conflict that was not expected, and for one that was and is not there."""
    found = conflicts_in(world.machine.parts, world.log.events[start:])
    wanted = step.expect.conflict
    if isinstance(wanted, bool):
        if wanted != bool(found):
            actual = "; ".join(found) or "none"
            raise Failed(Failure(path, step.title, [Mismatch("conflict", "some" if wanted else "none", actual)]))
        return
    surplus, missing = unexpected(found, [wanted] if isinstance(wanted, str) else wanted)
    wrong = [Mismatch("conflict", "none of this", conflict) for conflict in surplus]
    wrong += [Mismatch("conflict", words, "; ".join(found) or "none") for words in missing]
    if wrong:
        raise Failed(Failure(path, step.title, wrong))
