"""Which pairs of mappings of one page may stand side by side.

Sources, by rule, in RULES. The x86 and arm64 ones were compared with public copies of the manuals; the one for riscv is
general knowledge, not checked.
"""

from enum import Enum
from typing import NamedTuple

from vgpu_emu.attributes.derivation import Effective, Kind
from vgpu_emu.attributes.platform import Platform
from vgpu_emu.vocabulary import HostAttribute


class Verdict(Enum):
    """What a pair of mappings is. Ordered: the last is the worst."""

    ALLOWED = "allowed"
    #: coherent, at a price
    TOLERATED = "tolerated, slower"
    MISMATCHED = "mismatched"


class Judgement(NamedTuple):
    """A verdict and the rule it follows from, with its source."""

    verdict: Verdict
    rule: str


_X86 = frozenset({Effective.WB, Effective.WT, Effective.WP, Effective.WC, Effective.UC})
_RISCV = frozenset({Effective.PMA, Effective.NC, Effective.IO})
_DMA = frozenset({Effective.DMA, Effective.DMA_SNOOPED})
_ARM64 = frozenset(Effective) - _X86 - _RISCV - _DMA
FAMILIES = {"x86": _X86, "arm64": _ARM64, "riscv": _RISCV}

_SAME = Judgement(Verdict.ALLOWED, "one memory type")
_NO_CACHE = Judgement(Verdict.ALLOWED, "neither uses a cache")
_SNOOPED = Judgement(Verdict.ALLOWED, "the device looks into the CPUs' caches")
_BYPASSED = Judgement(
    Verdict.MISMATCHED,
    "a device that does not snoop sees memory, not the CPUs' caches: a dirty line has not arrived, a stale one stays; "
    "only cache maintenance around each access helps",
)
_SELF_SNOOP = Judgement(
    Verdict.TOLERATED, "the CPU snoops itself (CPUID self-snoop; KVM relies on it): coherent, but each access pays"
)

_ARM_MIXED = Judgement(
    Verdict.MISMATCHED,
    "Arm ARM B2, mismatched memory attributes: one cacheable and one not are coherent only with cache maintenance",
)
_RISCV_MIXED = Judgement(
    Verdict.MISMATCHED,
    "privileged specification, Svpbmt: cacheable and not is coherent only with fence and cbo.flush (general knowledge)",
)


class Rules(NamedTuple):
    """How an architecture judges two types of its own that differ, by their kinds."""

    both_cached: Judgement
    cached_combining: Judgement
    cached_uncached: Judgement
    combining_uncached: Judgement


RULES = {
    "x86": Rules(
        Judgement(
            Verdict.TOLERATED, "SDM vol 3, 11.12.4: two types for one page are not supported; both use the cache"
        ),
        Judgement(
            Verdict.MISMATCHED,
            "SDM vol 3, 11.12.4: never alias a WC page to a cacheable one, WC writes may not check the caches",
        ),
        Judgement(
            Verdict.TOLERATED,
            "SDM vol 3, 11.5.2.2: an access that the page tables make UC must check the caches; AMD's does (general "
            "knowledge)",
        ),
        Judgement(Verdict.ALLOWED, "neither uses a cache; only the order of writes differs"),
    ),
    "arm64": Rules(
        Judgement(Verdict.MISMATCHED, "Arm ARM B2, mismatched memory attributes: cacheability differs"),
        _ARM_MIXED,
        _ARM_MIXED,
        Judgement(
            Verdict.TOLERATED,
            "Arm ARM B2, mismatched memory attributes: Device and Normal-NC may be reordered, a DMB between them helps",
        ),
    ),
    "riscv": Rules(
        _SAME,
        _RISCV_MIXED,
        _RISCV_MIXED,
        Judgement(Verdict.TOLERATED, "privileged specification, Svpbmt: NC and IO are ordered only by a fence"),
    ),
}


def judge(first: Effective, second: Effective, self_snoop: bool = False) -> Judgement:
    """One pair of live mappings of one page. Raises ValueError for types of two architectures."""
    kinds = {first.kind, second.kind}
    if first is second:
        return _SAME
    if Kind.SNOOPING in kinds:
        return _SNOOPED
    if Kind.BYPASSING in kinds:
        return _BYPASSED if Kind.CACHED in kinds else _NO_CACHE
    family = next((name for name, types in FAMILIES.items() if {first, second} <= types), None)
    if family is None:
        raise ValueError(f"{first.value} and {second.value} are types of two architectures")
    rules = RULES[family]
    if kinds == {Kind.CACHED}:
        return rules.both_cached
    if Kind.CACHED not in kinds:
        return _NO_CACHE if len(kinds) == 1 else rules.combining_uncached
    if self_snoop:
        return _SELF_SNOOP
    return rules.cached_combining if Kind.COMBINING in kinds else rules.cached_uncached


Rulebook = dict[Effective, dict[Effective, Judgement]]


def rulebook(platform: Platform) -> Rulebook:
    """Every pair that can occur on a platform."""
    types = sorted(FAMILIES[platform.model.family] | _DMA, key=list(Effective).index)
    return {a: {b: judge(a, b, platform.model.self_snoop) for b in types} for a in types}


def verdict(platform: Platform, host: HostAttribute, guest: Effective) -> Judgement | None:
    """The worse of two pairs: a guest's mapping with the exporter's own, and with its GPU. None: nothing is known."""
    views = platform.host_views(host)
    if views is None:
        return None
    judgements = [judge(view, guest, platform.model.self_snoop) for view in views]
    return max(judgements, key=lambda judgement: list(Verdict).index(judgement.verdict))
