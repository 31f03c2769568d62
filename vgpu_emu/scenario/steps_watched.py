"""Steps of a scenario that the reference watches, beside those that every scenario has."""

from typing import Annotated

from msgspec import Meta, field

from vgpu_emu.scenario.outcome import ImpossibleError
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.steps import Name, Step
from vgpu_emu.scenario.words import ErrnoName
from vgpu_emu.scenario.world import World


class WatchedStep(Step, frozen=True, kw_only=True):
    """A step that only the targets of vgpu-emu fuzz can do."""

    async def act(self, world: World) -> Given:
        raise ImpossibleError(NEEDS_ORACLES)


NEEDS_ORACLES = "a step of a scenario with [oracles]: it is done on a target of vgpu-emu fuzz"


class HostFails(WatchedStep, frozen=True, kw_only=True, tag="host-fails"):
    """With [oracles]: the host fails at the next question of the VMM that it can fail at, but `skip`.

    It answers `errno`, or passes `extra` descriptors more, or, with `lose`, none of those that there should be.
    """

    errno: ErrnoName | Annotated[int, Meta(ge=0, lt=134)] = 0
    skip: Annotated[int, Meta(ge=0, lt=8)] = 0
    extra: Annotated[int, Meta(ge=0, lt=4)] = 0
    lose: bool = False


class Call(WatchedStep, frozen=True, kw_only=True, tag="call"):
    """With [oracles]: a guest program does something by the numbers in `with`, which choose among what it has.

    docs/fuzzing.md lists the calls and their numbers: { call = "mmap", with = { bo = 2, pages = 0 } } maps the third
    buffer object, if there are three; else the number counts on from the first. A number that is not said is 0.
    """

    call: Name
    with_: Annotated[dict[Name, Annotated[int, Meta(ge=0, lt=256)]], Meta(description="Numbers by their names.")] = (
        field(default_factory=dict, name="with")
    )
