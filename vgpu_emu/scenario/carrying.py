"""One step: done, and compared with what it expects."""

from errno import errorcode

import trio

from vgpu_emu.machine import Machine
from vgpu_emu.peers.front.errors import DeviceError
from vgpu_emu.scenario.expect import Expect, Mismatch, mismatches
from vgpu_emu.scenario.insides import device_state, lost
from vgpu_emu.scenario.outcome import Failed, Failure
from vgpu_emu.scenario.seen import Given, Seen
from vgpu_emu.scenario.steps import Step
from vgpu_emu.scenario.things import StepError
from vgpu_emu.scenario.world import World
from vgpu_wire.errors import WireError


async def carry_out(world: World, step: Step) -> None:
    """Do a step and compare what is seen with what it expects. Raises Failed."""
    path = world.paths[id(step)]
    because = {"because": step.comment} if step.comment else {}
    world.log.note("scenario", path, does=step.title, **because)
    start, began = len(world.log.events), trio.current_time()
    running = Running(world, step)
    world.nursery.start_soon(running.run)
    with trio.move_on_after(step.patience):
        await running.over.wait()
    passed = trio.current_time() - began
    if running.failed is not None:
        raise running.failed
    if step.expect != Expect() or path in world.top:
        await world.quiet()
    if not running.over.is_set() and step.as_ is not None:
        world.pending[step.as_] = running
    seen = Seen(
        events=world.log.events,
        start=0 if step.looks_back else start,
        commands=step.commands,
        given=running.given,
        errno=running.errno,
        error=running.error,
        hangs=running.hangs(),
        seconds=passed,
        device=device_state(world.machine),
        knows_rules=isinstance(world.machine, Machine),
    )
    if (reason := lost(world.machine)) is not None:
        raise Failed(Failure(path, step.title, [Mismatch("device", "works", reason)]))
    if found := [*running.found, *mismatches(step.expect, seen)]:
        raise Failed(Failure(path, step.title, found))


class Running:
    """A step on its way, in a task of its own: what never returns is left where it is.

    given, refused: how the call came back. failed: a step inside of it did not go as expected. found: what makes no
    sense.
    """

    def __init__(self, world: World, step: Step) -> None:
        self.world = world
        self.step = step
        self.over = trio.Event()
        self.given = Given()
        self.refused: OSError | None = None
        self.failed: Failed | None = None
        self.found: list[Mismatch] = []
        self._task: trio.lowlevel.Task | None = None

    async def run(self) -> None:
        self._task = trio.lowlevel.current_task()
        try:
            self.given = await self.step.act(self.world)
        except OSError as refused:
            self.refused = refused
        except DeviceError:
            # what has become of the device is looked at after the step
            pass
        except Failed as failed:
            self.failed = failed
        except StepError as senseless:
            self.found.append(Mismatch(senseless.member, "something that can be done", str(senseless)))
        except WireError as unfit:
            # an ioctl's structure has no room for the number, so no program could have said it
            self.found.append(Mismatch(unfit.path, "a number that fits", unfit.detail))
        else:
            if self.step.as_ is not None:
                self.world.names[self.step.as_] = self.given.named
        if self.given.resource_id is None:
            self.given.resource_id = self.step.about(self.world)
        self.over.set()

    async def result(self) -> Given:
        """What the call gives when it is over. Raises OSError as it does."""
        await self.over.wait()
        if self.refused is not None:
            raise self.refused
        return self.given

    @property
    def errno(self) -> str | None:
        number = None if self.refused is None else self.refused.errno or 0
        return None if number is None else errorcode.get(number, str(number))

    @property
    def error(self) -> str:
        return "" if self.refused is None else str(self.refused.strerror)

    def hangs(self) -> str | None:
        """What the step waits for, if it is not over."""
        if self.over.is_set() or self._task is None:
            return None
        return self.world.waits.get(self._task) or "; ".join(self.world.machine.waits()) or "nobody knows what"
