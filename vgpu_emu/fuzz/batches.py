"""What processes are given of a campaign, and what they give back."""

from collections import Counter
from collections.abc import Callable
from functools import lru_cache

import msgspec

from vgpu_emu.fuzz.model.case import Covered
from vgpu_emu.fuzz.trial import Found

#: programs of a batch
BATCH = 200
#: the same where each program is a connection, and none is seen before its batch is
SMALL_BATCH = 20
#: the same where each program takes a second: who stops a campaign waits for the batches in hand
SLOW_BATCH = 5


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
