"""How soon planted defects are found, and by whom."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from statistics import median
from typing import Any

import msgspec

from vgpu_emu.fuzz.bounded import bounded
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.targets import target
from vgpu_emu.fuzz.trial import Conditions, commands
from vgpu_emu.fuzz.worker import LENGTHS, Tell, minimised, never, nobody

#: seeds of a defect
SEEDS = 20


class Hunt(msgspec.Struct, frozen=True):
    """A defect and a seed. limit: programs after which it is given up. Without a defect it is the clean build's."""

    name: str
    seed: int
    limit: int
    conditions: Conditions


class Caught(msgspec.Struct):
    """sequences: programs up to the one that found it, or all that were tried; oracle: None if none did.

    length: steps of the minimised program.
    """

    name: str
    seed: int
    sequences: int
    oracle: str | None = None
    detail: str = ""
    length: int = 0


class Score(msgspec.Struct):
    """Of one defect, over its seeds. sequences: of the seeds that found it, in order."""

    name: str
    seeds: int
    sequences: list[int]
    oracles: dict[str, int]
    longest: int
    detail: str = ""

    @property
    def found(self) -> int:
        return len(self.sequences)

    @property
    def median(self) -> float | None:
        return median(self.sequences) if self.sequences else None

    @property
    def worst(self) -> int | None:
        return self.sequences[-1] if self.sequences else None


def hunt(task: Hunt, tell: Tell = nobody, over: Callable[[], bool] = never) -> Caught | None:
    """Programs until an oracle says something. They are made up, each on its own: no corpus helps. None: it was over
    before that was known, or before the program was small."""
    where = target(task.conditions.target)
    with bounded():
        for sequence in range(task.limit):
            if over():
                return None
            rng = Random(f"{task.seed}/score/{sequence}")
            swarm = Swarm(rng)
            result = where.explore(swarm, swarm.setup, rng.choice(LENGTHS), task.conditions)
            if result.found is not None:
                found = result.found
                small = minimised(result.program, found, task.conditions, tell, over)
                caught = Caught(task.name, task.seed, sequence + 1, found.oracle, found.detail, commands(small))
                return None if over() else caught
    return Caught(task.name, task.seed, task.limit)


def hunts(defects: Sequence[tuple[str, Any]], base: Conditions, limit: int, seeds: int = SEEDS) -> Iterator[Hunt]:
    """Every defect with every seed."""
    for name, defect in defects:
        conditions = msgspec.structs.replace(base, defects=(*base.defects, defect))
        for seed in range(seeds):
            yield Hunt(name, seed, limit, conditions)


def score(name: str, caught: Sequence[Caught]) -> Score:
    """What became of the seeds of one defect."""
    found = sorted((each for each in caught if each.oracle is not None), key=lambda each: each.sequences)
    oracles: dict[str, int] = {}
    for each in found:
        oracles[str(each.oracle)] = oracles.get(str(each.oracle), 0) + 1
    by_count = dict(sorted(oracles.items(), key=lambda item: -item[1]))
    return Score(
        name,
        len(caught),
        [each.sequences for each in found],
        by_count,
        max((each.length for each in found), default=0),
        found[0].detail if found else "",
    )
