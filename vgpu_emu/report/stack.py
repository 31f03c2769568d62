"""The attribute stack: what every party says and every layer makes of it, the runs side by side."""

from collections.abc import Sequence
from typing import NamedTuple

from vgpu_emu.report.kinds import Chip, chip, effective_chip, layer_chip
from vgpu_emu.report.story import Run

#: the layer that every derivation ends with
EFFECTIVE = "effective"


class Level(NamedTuple):
    """One row. says: one chip a run; None: the run did not come that far. differs: whether the runs disagree.

    source: where a layer's rule is written; "" for what a party says.
    """

    who: str
    question: str
    says: list[Chip | None]
    differs: bool
    source: str = ""


def parties(runs: Sequence[Run]) -> list[Level]:
    """What each party says, from the exporter to the guest."""
    asked = list(dict.fromkeys((fact.who, fact.question) for run in runs for fact in run.facts))
    told = [{(fact.who, fact.question): chip(fact.says, fact.kind) for fact in run.facts} for run in runs]
    return [_level(who, question, [run.get((who, question)) for run in told]) for who, question in asked]


def layers(runs: Sequence[Run]) -> list[Level]:
    """What the guest's page protection becomes, from the kernel's wish to the hardware's act."""
    derivations = [run.derivation for run in runs]
    stacks = [{layer.name: layer for layer in derived.layers} if derived else {} for derived in derivations]
    levels = []
    names = dict.fromkeys(name for stack in stacks for name in stack)
    # what all stages lead to stays below the stages that only some runs have
    for name in sorted(names, key=lambda name: name == EFFECTIVE):
        chips: list[Chip | None] = []
        for stack, derived in zip(stacks, derivations, strict=True):
            if derived is None or name not in stack:
                chips.append(None)
            elif name == EFFECTIVE:
                chips.append(effective_chip(derived.effective))
            else:
                chips.append(layer_chip(stack[name].says))
        source = next(stack[name].source for stack in stacks if name in stack)
        levels.append(_level(name, "", chips, source))
    return levels


def _level(who: str, question: str, says: list[Chip | None], source: str = "") -> Level:
    return Level(who, question, says, len(set(says)) > 1, source)
