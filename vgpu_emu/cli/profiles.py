"""``vgpu-emu profiles``: what each VMM answers to what is wrong, one of them, and what differs between two."""

import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Annotated, Any

from cyclopts import App, Parameter

from vgpu_emu.cli.usage import UsageError
from vgpu_emu.vmm.answers import Answer, answers, behaviour, groups
from vgpu_emu.vmm.catalogue import PROFILES, ProfileError, added_profiles, find_profile
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.rules import Rule
from vgpu_wire.control import CtrlType

Json = Annotated[bool, Parameter(name="--json", negative=())]
_LEGEND = """\
UN, OOM, SC, RID, CTX, PAR: RESP_ERR_UNSPEC, _OUT_OF_MEMORY, _INVALID_SCANOUT_ID, _INVALID_RESOURCE_ID,
_INVALID_CONTEXT_ID, _INVALID_PARAMETER. OK: success, although nothing is done. -: not checked, the command
goes on. none: completed without a byte. dead: the VMM panics. ?: nobody has seen or read it.\
"""
_RULE_WIDTH = max(len(rule.name) for rule in Rule) + 1


def show(name: str | None = None, /, *, json_: Json = False) -> None:
    """Print how each VMM answers requests that break a rule, or one VMM's profile.

    Examples:

        vgpu-emu profiles

        vgpu-emu profiles crosvm

        vgpu-emu profiles diff strict qemu-virgl

        vgpu-emu profiles --json

    Parameters
    ----------
    name
        Print this profile: whom it models, its features, its behaviour, its answers.
    json_
        JSON instead of text.
    """
    profiles = list(PROFILES.values()) if name is None else [named_profile(name)]
    if json_:
        print(json.dumps({"schema": 1, "profiles": [_as_json(profile) for profile in profiles]}))
        return
    for line in _table(profiles) if name is None else _sheet(profiles[0]):
        print(line)


def diff(a: str, b: str, /, *, json_: Json = False) -> None:
    """Print what differs between two profiles.

    Examples:

        vgpu-emu profiles diff strict crosvm

        vgpu-emu profiles diff crosvm libkrun

        vgpu-emu profiles diff qemu-virgl qemu-rutabaga --json

    Parameters
    ----------
    a
        A profile.
    b
        Another one.
    json_
        One JSON object instead of text.
    """
    first, second = named_profile(a), named_profile(b)
    rows = list(_differences(first, second))
    if json_:
        found = [{"what": what, a: one, b: other} for what, one, other in rows]
        print(json.dumps({"schema": 1, "differences": found}))
        return
    if not rows:
        print("no differences")
    width = max((len(what) for what, _one, _other in rows), default=0)
    for what, one, other in rows:
        print(f"{what:{width}}  {_words(one)}  ->  {_words(other)}")


def named_profile(name: str) -> Profile:
    """The profile that the user names. Raises UsageError."""
    try:
        return find_profile(name)
    except ProfileError as mistake:
        raise UsageError(str(mistake)) from None


# -- the table of all


def _table(profiles: list[Profile]) -> Iterator[str]:
    heads = [profile.name.split("-") for profile in profiles]
    widths = [max(len(word) for word in [*head, "dead?"]) + 1 for head in heads]
    columns = [answers(profile) for profile in profiles]
    for words in zip_longest(*heads, fillvalue=""):
        yield _row("", words, widths)
    for commands, rules in groups():
        yield ""
        yield _title(commands)
        for rule in rules:
            yield _row(rule.name, [_cell(column[rule]) for column in columns], widths)
    yield ""
    yield _LEGEND
    if added := added_profiles():
        yield f"Other packages add: {', '.join(added)}."


def _title(commands: tuple[CtrlType, ...]) -> str:
    return ", ".join(command.name for command in commands) or "any command"


def _row(name: str, cells: Any, widths: list[int]) -> str:
    return (
        name.ljust(_RULE_WIDTH) + "".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    ).rstrip()


def _cell(answer: Answer) -> str:
    return answer.short + ("" if answer.verified else "?")


# -- one profile


def _sheet(profile: Profile) -> Iterator[str]:
    yield f"{profile.name}: {profile.models}"
    yield ""
    for name, value in behaviour(profile).items():
        yield f"{name:18} {_words(value)}"
    found = answers(profile)
    for commands, rules in groups():
        yield ""
        yield _title(commands)
        for rule in rules:
            answer = found[rule]
            yield f"  {answer.word:{_WORD_WIDTH}} {'' if answer.verified else '?':1} {rule.broken}"


_WORD_WIDTH = len(CtrlType.RESP_ERR_INVALID_RESOURCE_ID.name)


def _words(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case None | []:
            return "none"
        case list():
            return ", ".join(value)
        case int() if value > 99:
            return f"{value:#x}"
        case _:
            return str(value)


# -- comparisons and JSON


def _differences(a: Profile, b: Profile) -> Iterator[tuple[str, Any, Any]]:
    """(rule or behaviour, a's, b's)."""
    there = behaviour(b)
    for name, value in behaviour(a).items():
        if value != there[name]:
            yield name, value, there[name]
    theirs = answers(b)
    for rule, answer in answers(a).items():
        if answer.word != theirs[rule].word:
            yield rule.name, answer.word, theirs[rule].word


def _as_json(profile: Profile) -> dict[str, Any]:
    found = {
        rule.name: {"answer": answer.word, "verified": answer.verified, "broken": rule.broken}
        for rule, answer in answers(profile).items()
    }
    return {"name": profile.name, "models": profile.models, "behaviour": behaviour(profile), "answers": found}


group = App(name="profiles")
group.default(show)
group.command(diff)
