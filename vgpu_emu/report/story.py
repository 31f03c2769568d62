"""What a report tells: the input of every writer here. Whoever has made a run puts it into these words."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from vgpu_emu.attributes.aliases import Conflict
from vgpu_emu.attributes.derivation import Derivation, Effective, Kind
from vgpu_emu.attributes.platform import Platform
from vgpu_emu.attributes.remedies import Remedy
from vgpu_emu.attributes.walkthrough import Entry
from vgpu_emu.trace.log import Event


class Outcome(Enum):
    """How a run ended."""

    #: of a run on the coherency model alone: what was read
    WRONG = "wrong bytes"
    RIGHT = "right bytes"
    #: of mappings of the same pages
    CONFLICT = "conflict"
    TOLERATED = "tolerated, slower"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    #: of a capture that was replayed
    DIFFERENT = "answered differently"
    SAME = "answered as recorded"
    AGREE = "agree"
    #: of a scenario
    UNEXPECTED = "not as expected"
    EXPECTED = "as expected"
    #: of a log: nobody judges it
    RECORDED = "recorded"


class Fact(msgspec.Struct, frozen=True):
    """What one party says of the buffer's attribute. kind: what that means for a cache, if it means anything."""

    who: str
    question: str
    says: str
    kind: Kind | None = None


class Walk(msgspec.Struct, frozen=True):
    """A program of reads and writes on the coherency model: who saw the buffer how, and every step of the log."""

    says: str
    views: Mapping[str, Effective]
    log: Sequence[Entry]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the machine.

    name: a few words that tell it from the others. says: the outcome in a sentence or two. happens: how it came to
    that: sentences, each with its source. platform: what the region's mappings become; None: that is not shown.
    region_size: bytes of the host visible region. derivation: the stack of the buffer that the run is about.
    conflicts: worst first. remedies: what was tried against what went wrong.
    """

    name: str
    outcome: Outcome
    says: str
    happens: Sequence[tuple[str, str]] = ()
    events: Sequence[Event] = ()
    facts: Sequence[Fact] = ()
    derivation: Derivation | None = None
    conflicts: Sequence[Conflict] = ()
    platform: Platform | None = None
    region_size: int = 0
    walk: Walk | None = None
    remedies: Sequence[Remedy] = ()


class Combination(Protocol):
    """One combination of a table of all of them, as ``vgpu-emu matrix --json`` has it.

    effective: the value of an Effective. verdict: the value of a Verdict, or ``unknown``, or ``not mapped``.
    """

    @property
    def exporter(self) -> str: ...
    @property
    def dialect(self) -> str: ...
    @property
    def profile(self) -> str: ...
    @property
    def platform(self) -> str: ...
    @property
    def firmware(self) -> str | None: ...
    @property
    def bar(self) -> str | None: ...
    @property
    def map_info(self) -> int | None: ...
    @property
    def pgprot(self) -> str | None: ...
    @property
    def pte(self) -> int | None: ...
    @property
    def memtype(self) -> str | None: ...
    @property
    def effective(self) -> str | None: ...
    @property
    def verdict(self) -> str: ...


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """A report. lede: what it is about, in a sentence or two. settings: (name, value) of what was chosen.

    matrix: all combinations at a glance.
    """

    title: str
    lede: str
    settings: Sequence[tuple[str, str]] = ()
    runs: Sequence[Run] = ()
    matrix: Sequence[Combination] = ()
