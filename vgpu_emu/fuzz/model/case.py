"""A request that is looked at, what that covers, and what is found."""

import msgspec

from vgpu_emu.fuzz.model.expectation import Expected
from vgpu_emu.fuzz.model.world import GLOBAL
from vgpu_wire.messages import type_name


class Finding(Exception):  # noqa: N818 - what a fuzzer looks for
    """An oracle that does not hold. oracle: its name."""

    def __init__(self, oracle: str, detail: str) -> None:
        super().__init__(f"{oracle}: {detail}")
        self.oracle = oracle
        self.detail = detail


#: request (0: no command), why it is not plainly right, state, answer
Covered = tuple[int, str, int, int]


class Case(msgspec.Struct):
    """A request on its way. number: its type. fence_id: None of one that is not fenced.

    lenient: the host was made to fail at it, so that it may be refused. broken: it must be, for this reason.
    """

    head: int
    queue: int
    capacity: int
    number: int
    expected: Expected
    fence_id: int | None = None
    ring_idx: int = 0
    timeline: tuple[int, int] = GLOBAL
    lenient: bool = False
    broken: str = ""

    def __str__(self) -> str:
        return type_name(self.number)
