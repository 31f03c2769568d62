"""Many programs: made up, or made of those that showed something new; what they cover, and what they find.

A campaign goes in rounds, a round in batches. A batch depends on the seed, its number and what the rounds before
brought, and on nothing else: a campaign finds the same with one job or many.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from hashlib import sha256
from math import inf
from random import Random
from time import monotonic

import msgspec
from msgspec.structs import replace

from vgpu_emu.fuzz.actions import Program
from vgpu_emu.fuzz.bounded import ENDLESS, SECONDS, SHORT, bounded
from vgpu_emu.fuzz.encoding import decode, encode
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.minimise import minimise
from vgpu_emu.fuzz.model.judge import Covered
from vgpu_emu.fuzz.mutate import mutated
from vgpu_emu.fuzz.targets import target
from vgpu_emu.fuzz.trial import Conditions, Found, Result, TargetLostError

#: programs of a batch
BATCH = 200
#: the same where each program is a connection, and none is seen before its batch is
SMALL_BATCH = 20
#: the same where each program takes a second: who stops a campaign waits for the batches in hand
SLOW_BATCH = 5
#: batches of a round: few at first, as what they show is what the next ones are made of
ROUNDS = (1, 1, 2, 4, 8, 16, 32)
#: findings of a batch that are made small
MINIMISED = 3
#: programs of the corpus that those of a round are made of: every process takes all of them apart
SAMPLE = 1000
#: seconds in which a finding on a device that is not ours is made small: each try is a connection, or a process
DEVICE_SECONDS = 60.0
#: how many tries of a finding that is made small may be interrupted: each takes SHORT
ENDLESS_TRIES = 30
#: how long programs are, in steps
LENGTHS = (10, 10, 20, 20, 20, 40)


#: is told what takes long
Tell = Callable[[str], None]
_ENDLESS_KIND = Found("I29", ENDLESS, 0).kind


def nobody(_says: str) -> None:
    """A Tell that keeps it to itself."""


class Finding(msgspec.Struct):
    """found: what the minimised program shows. kind: of what was seen first. program, minimised: as bytes.

    seed: of the campaign. sequence: the program's number in it; negative: it is of the corpus.
    """

    found: Found
    kind: str
    program: bytes
    minimised: bytes
    seed: int
    sequence: int


class Batch(msgspec.Struct):
    """What became of the programs of one batch. fresh: those that covered what none before them did.

    lost: why nothing can be carried out any more; the batch has what there is until then.
    """

    number: int
    sequences: int = 0
    commands: int = 0
    evaluated: Counter[str] = msgspec.field(default_factory=Counter)
    covered: set[Covered] = msgspec.field(default_factory=set)
    fresh: list[bytes] = msgspec.field(default_factory=list)
    findings: list[Finding] = msgspec.field(default_factory=list)
    lost: str = ""


class Plan(msgspec.Struct, frozen=True):
    """seed: of all programs. salt: what the campaign started with, so that one that goes on makes other programs.

    corpus: programs to make others of, as bytes. covered: by all there are. kinds: of findings that are known.
    batch: programs of a batch.
    """

    seed: int
    salt: str = ""
    corpus: tuple[bytes, ...] = ()
    covered: frozenset[Covered] = frozenset()
    kinds: frozenset[str] = frozenset()
    batch: int = BATCH

    def __reduce__(self) -> tuple[Callable[[bytes], "Plan"], tuple[bytes]]:
        """For processes: the works of a round have one plan, which is packed once, and unpacked once by each."""
        return _unpacked, (_packed(self),)


@lru_cache(maxsize=1)
def _packed(plan: Plan) -> bytes:
    return msgspec.msgpack.encode(plan)


@lru_cache(maxsize=1)
def _unpacked(data: bytes) -> Plan:
    return msgspec.msgpack.decode(data, type=Plan)


class Work(msgspec.Struct, frozen=True):
    """A batch that is to be carried out. programs: these, or so many new ones."""

    plan: Plan
    number: int
    programs: tuple[bytes, ...] | int = BATCH


class _Worker:
    """Who carries out one batch."""

    def __init__(self, work: Work, conditions: Conditions, tell: Tell) -> None:
        self.plan = work.plan
        self.conditions = conditions
        self.tell = tell
        self.batch = Batch(work.number)
        self.pool = _Pool(work.plan.corpus)
        self._kinds = set(work.plan.kinds)
        self._target = target(conditions.target)

    @property
    def seconds(self) -> float:
        """That the next program may take."""
        return SHORT if _ENDLESS_KIND in self._kinds else SECONDS

    def make(self, sequence: int) -> None:
        """One more program."""
        rng = Random(f"{self.plan.seed}/{self.plan.salt}/{sequence}")
        if self.pool and rng.random() < 0.4:
            program = mutated(self.pool[int(rng.random() * len(self.pool))], self.pool, rng)
            result = self._target.run(program, self.conditions)
        else:
            swarm = Swarm(rng)
            result = self._target.explore(swarm, swarm.setup, rng.choice(LENGTHS), self.conditions)
        self.note(result, sequence)

    def repeat(self, data: bytes, sequence: int) -> None:
        """A program that there is."""
        self.note(self._target.run(decode(data), self.conditions), sequence)

    def note(self, result: Result, sequence: int) -> None:
        batch = self.batch
        batch.sequences += 1
        batch.commands += result.commands
        batch.evaluated.update(result.evaluated)
        new = result.covered - batch.covered - self.plan.covered
        batch.covered |= result.covered
        if result.found is not None:
            self._keep(result, result.found, sequence)
        elif new:
            self.pool.append(result.program)
            batch.fresh.append(encode(result.program))
            self._again(result, sequence)

    def _again(self, result: Result, sequence: int) -> None:
        """What is kept must mean the same when it is read back."""
        self.batch.evaluated["I34"] += 1
        again = self._target.run(decode(self.batch.fresh[-1]), self.conditions)
        if again.found is not None:
            self._keep(again, again.found, sequence)
        elif again.digest != result.digest:
            found = Found("I34", "the same program has other answers when it is carried out again", 0)
            program = self.batch.fresh[-1]
            self.batch.findings.append(Finding(found, found.kind, program, program, self.plan.seed, sequence))

    def _keep(self, result: Result, found: Found, sequence: int) -> None:
        batch = self.batch
        if found.detail == ENDLESS:
            self.tell(f"program {sequence} does not come to an end, and was interrupted")
        if found.kind in self._kinds or len(batch.findings) == MINIMISED:
            return
        self._kinds.add(found.kind)
        small = minimised(result.program, found, self.conditions, self.tell)
        first, small, batch.lost = shown(small, found, self.conditions)
        batch.findings.append(
            Finding(first, found.kind, encode(result.program), encode(small), self.plan.seed, sequence)
        )


class _Pool:
    """What programs are made of. One of the corpus is decoded when it is chosen."""

    def __init__(self, corpus: Sequence[bytes]) -> None:
        self._corpus = corpus
        self._fresh: list[Program] = []

    def __len__(self) -> int:
        return len(self._corpus) + len(self._fresh)

    def __getitem__(self, index: int) -> Program:
        known = len(self._corpus)
        return _decoded(self._corpus[index]) if index < known else self._fresh[index - known]

    def append(self, program: Program) -> None:
        self._fresh.append(program)


_decoded = lru_cache(maxsize=SAMPLE)(decode)


def carry_out(work: Work, conditions: Conditions, tell: Tell = nobody) -> Batch:
    """Carry out the programs of one batch. Raises DefectError."""
    worker = _Worker(work, conditions, tell)
    try:
        for carry in _each(worker, work):
            with bounded(worker.seconds):
                carry()
            if worker.batch.lost:
                break
    except TargetLostError as lost:
        worker.batch.lost = str(lost)
    return worker.batch


def _each(worker: _Worker, work: Work) -> Iterator[Callable[[], None]]:
    start = work.number * work.plan.batch
    if isinstance(work.programs, int):
        yield from (partial(worker.make, sequence) for sequence in range(start, start + work.programs))
    else:
        yield from (partial(worker.repeat, data, start + place) for place, data in enumerate(work.programs))


class _Tries:
    """Whether smaller programs break the same oracle; no more when time is up."""

    def __init__(self, found: Found, conditions: Conditions, tell: Tell) -> None:
        self._oracle = found.oracle
        self._conditions = conditions
        self._tell = tell
        self._run = target(conditions.target).run
        self._until = inf if conditions.device is None else monotonic() + DEVICE_SECONDS
        self._endless = ENDLESS_TRIES

    def __call__(self, smaller: Program) -> bool:
        if monotonic() > self._until or not self._endless:
            return False
        self._tell(f"a finding of {self._oracle} is made small: {len(smaller.steps)} steps are tried")
        try:
            again = self._run(smaller, self._conditions).found
        except TargetLostError:
            self._until = 0.0
            return False
        self._endless -= again is not None and again.detail == ENDLESS
        return again is not None and again.oracle == self._oracle


def minimised(program: Program, found: Found, conditions: Conditions, tell: Tell = nobody) -> Program:
    """The smallest program that breaks the same oracle; on a device that is not ours, that is found in a minute or so,
    and if the device goes for good meanwhile, the smallest so far. Of programs that do not come to an end few are
    tried."""
    with bounded(SHORT):
        return minimise(program, _Tries(found, conditions, tell))


def shown(program: Program, found: Found, conditions: Conditions) -> tuple[Found, Program, str]:
    """What a minimised program shows first; the program with what was done at its end; and, if it could not be carried
    out any more, why."""
    with bounded(SHORT if found.detail == ENDLESS else SECONDS):
        try:
            result = target(conditions.target).run(program, conditions, look=True)
        except TargetLostError as lost:
            return found, program, str(lost)
    if result.found is None:
        return found, program, ""
    return result.found, program if conditions.device is None else result.program, ""


class Summary(msgspec.Struct):
    """Batches, joined. corpus: programs that showed something new. kinds: of findings, as they were seen first.

    lost: why nothing can be carried out any more.
    """

    sequences: int = 0
    commands: int = 0
    evaluated: Counter[str] = msgspec.field(default_factory=Counter)
    covered: set[Covered] = msgspec.field(default_factory=set)
    corpus: dict[bytes, None] = msgspec.field(default_factory=dict)
    findings: dict[str, Finding] = msgspec.field(default_factory=dict)
    kinds: set[str] = msgspec.field(default_factory=set)
    lost: str = ""

    def add(self, batch: Batch) -> None:
        self.lost = self.lost or batch.lost
        self.sequences += batch.sequences
        self.commands += batch.commands
        self.evaluated.update(batch.evaluated)
        if not batch.covered <= self.covered:
            self.corpus |= dict.fromkeys(batch.fresh)
        self.covered |= batch.covered
        for finding in batch.findings:
            self.kinds.add(finding.kind)
            self.findings.setdefault(finding.found.kind, finding)

    def plan(self, seed: int, salt: str) -> Plan:
        """For the next round."""
        corpus = tuple(self.corpus)
        if len(corpus) > SAMPLE:
            corpus = tuple(Random(f"{seed}/{salt}/{self.sequences}").sample(corpus, SAMPLE))
        return Plan(seed, salt, corpus, frozenset(self.covered), frozenset(self.kinds))


class Programs(msgspec.Struct, frozen=True):
    """What a campaign carries out: those of a corpus, and so many new ones; None: without end. batch: how many at a
    time."""

    seed: int
    corpus: tuple[bytes, ...] = ()
    count: int | None = None
    batch: int = BATCH

    @property
    def salt(self) -> str:
        return sha256(b"".join(sorted(self.corpus))).hexdigest()[:16] if self.corpus else ""


#: carries out batches, and gives them in their order
Crew = Callable[[Sequence[Work]], Iterator[Batch]]


def campaign(crew: Crew, programs: Programs, summary: Summary) -> Iterator[Summary]:
    """Round after round; after each batch, the summary."""
    for works in _works(programs, summary):
        for batch in crew(works):
            summary.add(batch)
            yield summary
            if summary.lost:
                return


def _works(programs: Programs, summary: Summary) -> Iterator[list[Work]]:
    """The batches of each round, when the rounds before are in the summary."""
    yield list(_repeated(programs.corpus, Plan(programs.seed, batch=programs.batch)))
    summary.corpus |= dict.fromkeys(programs.corpus)
    number, size = 0, programs.batch
    for count in _rounds():
        left = count * size if programs.count is None else programs.count - number * size
        if left <= 0:
            return
        plan = replace(summary.plan(programs.seed, programs.salt), batch=size)
        sizes = [min(size, left - done) for done in range(0, min(left, count * size), size)]
        yield [Work(plan, number + place, each) for place, each in enumerate(sizes)]
        number += len(sizes)


def _repeated(corpus: Sequence[bytes], plan: Plan) -> Iterator[Work]:
    for number, start in enumerate(range(0, len(corpus), plan.batch), 1):
        yield Work(plan, -number, tuple(corpus[start : start + plan.batch]))


def _rounds() -> Iterator[int]:
    yield from ROUNDS
    while True:
        yield ROUNDS[-1]
