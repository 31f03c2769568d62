"""Many programs: made up, or made of those that showed something new; what they cover, and what they find.

A campaign is cut into batches. Each depends on the seed, its number and the corpus at the start, and on nothing else:
it finds the same with one job or many.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from random import Random

import msgspec

from vgpu_emu.fuzz.actions import Program
from vgpu_emu.fuzz.encoding import decode, encode
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.minimise import minimise
from vgpu_emu.fuzz.model.judge import Covered
from vgpu_emu.fuzz.mutate import mutated
from vgpu_emu.fuzz.trial import Conditions, Found, Result, explore, run

#: programs of a batch
BATCH = 200
#: how long programs are, in steps
_LENGTHS = (10, 20, 20, 40, 80)


class Finding(msgspec.Struct):
    """found: what was seen first; program, minimised: as bytes; seed: of the campaign, and the program's number."""

    found: Found
    program: bytes
    minimised: bytes
    seed: int
    sequence: int


class Batch(msgspec.Struct):
    """What became of the programs of one batch. fresh: those that covered what none before them in it did."""

    number: int
    sequences: int = 0
    commands: int = 0
    evaluated: dict[str, int] = msgspec.field(default_factory=dict)
    covered: set[Covered] = msgspec.field(default_factory=set)
    fresh: list[bytes] = msgspec.field(default_factory=list)
    findings: list[Finding] = msgspec.field(default_factory=list)


class Plan(msgspec.Struct, frozen=True):
    """seed: of all programs. corpus: programs to start from, as bytes. known: what these cover already."""

    seed: int
    corpus: tuple[bytes, ...] = ()
    known: frozenset[Covered] = frozenset()


def run_batch(plan: Plan, number: int, conditions: Conditions, size: int = BATCH) -> Batch:
    """Carry out the programs of one batch."""
    batch = Batch(number)
    pool = [decode(data) for data in plan.corpus]
    evaluated: Counter[str] = Counter()
    kinds: set[str] = set()
    for index in range(size):
        sequence = number * BATCH + index
        result = _trial(Random(f"{plan.seed}/{sequence}"), pool, conditions)
        batch.sequences += 1
        batch.commands += result.commands
        evaluated.update(result.evaluated)
        new = result.covered - batch.covered - plan.known
        batch.covered |= result.covered
        if new and result.found is None:
            pool.append(result.program)
            batch.fresh.append(encode(result.program))
        if result.found is not None and result.found.kind not in kinds:
            kinds.add(result.found.kind)
            batch.findings.append(_finding(result, result.found, conditions, plan.seed, sequence))
    batch.evaluated = dict(evaluated)
    return batch


def _trial(rng: Random, pool: Sequence[Program], conditions: Conditions) -> Result:
    if pool and rng.random() < 0.4:
        program = mutated(pool[int(rng.random() * len(pool))], pool, rng)
        return run(program, conditions)
    swarm = Swarm(rng)
    return explore(swarm, swarm.setup, rng.choice(_LENGTHS), conditions)


def _finding(result: Result, found: Found, conditions: Conditions, seed: int, sequence: int) -> Finding:
    small = minimised(result.program, found, conditions)
    first = run(small, conditions, look=True).found or found
    return Finding(first, encode(result.program), encode(small), seed, sequence)


def minimised(program: Program, found: Found, conditions: Conditions) -> Program:
    """The smallest program that breaks the same oracle."""

    def fails(smaller: Program) -> bool:
        again = run(smaller, conditions).found
        return again is not None and again.oracle == found.oracle

    return minimise(program, fails)


class Summary(msgspec.Struct):
    """Batches, joined."""

    sequences: int = 0
    commands: int = 0
    evaluated: Counter[str] = msgspec.field(default_factory=Counter)
    covered: set[Covered] = msgspec.field(default_factory=set)
    corpus: list[bytes] = msgspec.field(default_factory=list)
    findings: dict[str, Finding] = msgspec.field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        self.sequences += batch.sequences
        self.commands += batch.commands
        self.evaluated.update(batch.evaluated)
        if not batch.covered <= self.covered:
            self.corpus += batch.fresh
        self.covered |= batch.covered
        for finding in batch.findings:
            self.findings.setdefault(finding.found.kind, finding)


def distil(programs: Iterable[bytes], conditions: Conditions) -> Iterator[tuple[bytes, set[Covered]]]:
    """Of these programs those that cover what none before them does, smallest first, and what each adds."""
    known: set[Covered] = set()
    for data in sorted(set(programs), key=lambda data: (len(data), data)):
        covered = run(decode(data), conditions).covered
        if not covered <= known:
            yield data, covered - known
            known |= covered
