"""Who carries out the programs of one batch, and makes what they find small."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from math import inf
from random import Random
from time import monotonic

from vgpu_emu.fuzz.actions import Program
from vgpu_emu.fuzz.batches import Batch, Finding, Work
from vgpu_emu.fuzz.bounded import ENDLESS, SECONDS, SHORT, bounded
from vgpu_emu.fuzz.comparing import differing
from vgpu_emu.fuzz.encoding import MAX_BYTES, decode, encode
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.minimise import minimise
from vgpu_emu.fuzz.mutate import mutated
from vgpu_emu.fuzz.targets import target
from vgpu_emu.fuzz.trial import Conditions, Found, Result, TargetLostError

#: findings of a batch that are kept
MINIMISED = 3
#: programs of the corpus that those of a round are made of: every process takes all of them apart
SAMPLE = 1000
#: seconds in which a finding on a device that is not ours is made small: each try is a connection, or a process
DEVICE_SECONDS = 60.0
#: how many tries of a finding that is made small may be interrupted: each takes SHORT
ENDLESS_TRIES = 30
#: so many batches show little that programs could be made of, unless the campaign goes on from a corpus
YOUNG = 32
#: how many programs are changed ones, while a campaign is young and later
CHANGED_YOUNG, CHANGED = 0.1, 0.25
#: how long programs are, in steps
LENGTHS = (10, 10, 20, 20, 20, 40)


#: is told what takes long
Tell = Callable[[str], None]
_ENDLESS_KIND = Found("I29", ENDLESS, 0).kind


def nobody(_says: str) -> None:
    """A Tell that keeps it to itself."""


def never() -> bool:
    """Nobody is in a hurry."""
    return False


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
        self._changed = CHANGED_YOUNG if work.number < YOUNG and not work.plan.salt else CHANGED

    @property
    def seconds(self) -> float:
        """That the next program may take."""
        return SHORT if _ENDLESS_KIND in self._kinds else SECONDS

    def make(self, sequence: int) -> None:
        """One more program."""
        rng = Random(f"{self.plan.seed}/{self.plan.salt}/{sequence}")
        if self.pool and rng.random() < self._changed:
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
        elif new and len(data := encode(result.program)) <= MAX_BYTES:
            self.pool.append(result.program)
            batch.fresh.append(data)
            self._again(result, sequence)

    def _again(self, result: Result, sequence: int) -> None:
        """What is kept must mean the same when it is read back."""
        self.batch.evaluated["I34"] += 1
        again = self._target.run(decode(self.batch.fresh[-1]), self.conditions)
        if again.found is not None:
            self._keep(again, again.found, sequence)
        elif (found := differing(result, again)) is not None and self._is_new(found.kind):
            program = self.batch.fresh[-1]
            self.batch.findings.append(Finding(found, found.kind, program, program, self.plan.seed, sequence))

    def _is_new(self, kind: str) -> bool:
        """Whether a finding is kept: the first of its kind, while there are few."""
        if kind in self._kinds or len(self.batch.findings) >= MINIMISED:
            return False
        self._kinds.add(kind)
        return True

    def _keep(self, result: Result, found: Found, sequence: int) -> None:
        batch = self.batch
        if found.detail == ENDLESS:
            self.tell(f"program {sequence} does not come to an end, and was interrupted")
        if not self._is_new(found.kind):
            return
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

    def __init__(self, found: Found, conditions: Conditions, tell: Tell, over: Callable[[], bool]) -> None:
        self._oracle = found.oracle
        self._over = over
        self._conditions = conditions
        self._tell = tell
        self._run = target(conditions.target).run
        self._until = inf if conditions.device is None else monotonic() + DEVICE_SECONDS
        self._endless = ENDLESS_TRIES
        self._tried = 0

    def __call__(self, smaller: Program) -> bool:
        if self._over() or monotonic() > self._until or not self._endless:
            return False
        self._tried += 1
        self._tell(f"a finding of {self._oracle} is made small: program {self._tried} is tried")
        try:
            again = self._run(smaller, self._conditions).found
        except TargetLostError:
            self._until = 0.0
            return False
        self._endless -= again is not None and again.detail == ENDLESS
        return again is not None and again.oracle == self._oracle


def minimised(
    program: Program,
    found: Found,
    conditions: Conditions,
    tell: Tell = nobody,
    over: Callable[[], bool] = never,
) -> Program:
    """The smallest program that breaks the same oracle; on a device that is not ours, that is found in a minute or so,
    and if the device goes for good meanwhile, or it is over, the smallest so far. Of programs that do not come to an
    end few are tried."""
    with bounded(SHORT):
        return minimise(program, _Tries(found, conditions, tell, over))


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
