"""Many programs: made up, or made of those that showed something new; what they cover, and what they find.

A campaign goes in rounds, a round in batches. A batch depends on the seed, its number and what the rounds before
brought, and on nothing else: a campaign finds the same with one job or many.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from random import Random

import msgspec
from msgspec.structs import replace

from vgpu_emu.fuzz.batches import BATCH, Batch, Finding, Plan, Work
from vgpu_emu.fuzz.model.case import Covered
from vgpu_emu.fuzz.worker import SAMPLE

#: batches of a round: few at first, as what they show is what the next ones are made of
ROUNDS = (1, 1, 2, 4, 8, 16, 32)


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
            # a smaller program may show it in other words, and a program of a later round at once in these
            self.kinds |= {finding.kind, finding.found.kind}
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
