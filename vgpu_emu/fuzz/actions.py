"""What a program is made of: the setup of a device, and actions of guest, VMM, host and time, in order."""

from collections.abc import Sequence
from errno import EINVAL
from typing import TypeVar

import msgspec

from vgpu_emu.faults.plan import AnyFault
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_wire.device import CONTROLQ

T = TypeVar("T")


class Action(msgspec.Struct, frozen=True, tag=True, tag_field="do"):
    """One step of a program."""


class Send(Action, frozen=True, tag="send"):
    """The guest makes a chain available that no driver made up: any bytes. capacity: device-writable bytes."""

    data: bytes
    queue: int = CONTROLQ
    capacity: int = 2048


class Poke(Action, frozen=True, tag="poke"):
    """The guest writes to its own memory, as far as there is some."""

    address: int
    data: bytes


class Elapse(Action, frozen=True, tag="elapse"):
    """Time passes."""

    microseconds: int


class Plug(Action, frozen=True, tag="plug"):
    """The user resizes a display or, with width 0, unplugs it."""

    scanout_id: int
    width: int
    height: int


class Restart(Action, frozen=True, tag="restart"):
    """The VMM is stopped, and a new one started with a snapshot of the old one's state."""


class Reset(Action, frozen=True, tag="reset"):
    """The driver is unbound and the device reset; then a driver is bound again.

    features: bits of those that it knows, of which it accepts what the device offers; None: it knows all.
    """

    features: int | None = None

    @classmethod
    def by(cls, known: int, setup: Setup) -> "Reset":
        """By a driver that knows these features, in the fewest words."""
        accepted = setup.accepted(known)
        return cls(None if accepted == setup.features else accepted)


class Fail(Action, frozen=True, tag="fail"):
    """The host fails at the next question of the VMM but `skip`: it answers `errno`, or with `extra` descriptors more,
    or, with `lose`, without those that there should be."""

    errno: int = 0
    skip: int = 0
    extra: int = 0
    lose: bool = False


class Call(Action, frozen=True, tag="call"):
    """A system call of a guest program, by name. Numbers choose among what the program has, modulo how many."""

    name: str
    numbers: tuple[int, ...] = ()


class Break(Action, frozen=True, tag="break"):
    """A link or a party of the trio machine goes wrong when the fault's message crosses, counted from the start of the
    program, wherever the step stands. Other targets have no links."""

    fault: AnyFault


class Schedule(Action, frozen=True, tag="schedule"):
    """The seed of the order in which the trio machine's tasks run; the first of a program decides."""

    seed: int


Step = Send | Poke | Elapse | Plug | Restart | Reset | Fail | Call | Break | Schedule


class Program(msgspec.Struct, frozen=True):
    """setup: the device. steps: what is done, in order."""

    setup: Setup
    steps: tuple[Step, ...]


def one_of(things: Sequence[T], number: int) -> T:
    """What a number of a Call chooses. Raises OSError: EINVAL where there is nothing to choose from."""
    if not things:
        raise OSError(EINVAL, "the program has none")
    return things[number % len(things)]
