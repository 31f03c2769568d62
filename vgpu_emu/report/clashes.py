"""Conflicts gathered by the mapping that made them: it, and all the older ones that it does not go with."""

from collections.abc import Iterable

import msgspec

from vgpu_emu.attributes.alias_rules import Verdict
from vgpu_emu.attributes.aliases import Conflict, Mapping


class Against(msgspec.Struct, frozen=True):
    """The older mappings that one rule is about."""

    verdict: Verdict
    rule: str
    firsts: list[Mapping]


class Clash(msgspec.Struct, frozen=True):
    """A mapping, and what it clashes with over these bytes."""

    second: Mapping
    offset: int
    length: int
    against: list[Against]


def clashes(conflicts: Iterable[Conflict]) -> list[Clash]:
    """In the order of the conflicts; of one mapping the mismatches first."""
    found: dict[tuple[Mapping, int, int], dict[str, Against]] = {}
    for conflict in conflicts:
        rules = found.setdefault((conflict.second, conflict.offset, conflict.length), {})
        against = rules.setdefault(conflict.rule, Against(conflict.verdict, conflict.rule, []))
        against.firsts.append(conflict.first)
    worst = list(Verdict)[::-1]
    return [
        Clash(*where, sorted(rules.values(), key=lambda against: worst.index(against.verdict)))
        for where, rules in found.items()
    ]
