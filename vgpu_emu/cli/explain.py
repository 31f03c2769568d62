"""``vgpu-emu explain``: what a response to a command means, and what to look at."""

import difflib
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from vgpu_emu.cli.style import Paint, painter, printable
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.trace.causes import Explanation, title
from vgpu_emu.trace.causes import explain as explanation_of
from vgpu_wire.control import FIRST_ERROR, CtrlType
from vgpu_wire.messages import is_response, type_name

SCHEMA = 1

#: how Linux logs it (drivers/gpu/drm/virtio/virtgpu_vq.c)
_LOG_LINE = re.compile(r"response (0x[0-9a-f]+) \(command (0x[0-9a-f]+)\)", re.IGNORECASE)
_NUMBER = re.compile(r"0[xX](?P<hex>[0-9a-fA-F]+)|(?P<decimal>[0-9]+)")
_PREFIXES = re.compile(r"^(VIRTIO_GPU_)?(CMD_)?")
_NAMES = {kind.name: kind.value for kind in CtrlType} | {
    kind.name.removeprefix("RESP_"): kind.value for kind in CtrlType if is_response(kind)
}
_EXAMPLE = "vgpu-emu explain 0x1203 0x208"


def explain(*words: str, json_: Annotated[bool, Parameter(name="--json", negative=())] = False) -> None:
    """Say what a response to a command means, which check fails in which VMM, and what to look at.

    Takes a response, a command or both: numbers (0x208, 520), names (RESOURCE_MAP_BLOB, RESP_ERR_UNSPEC), or the line
    that Linux logs. The checks are those in the sources of QEMU, crosvm, libkrun and vhost-device-gpu, which were read
    and not run: another version may look at other things.

    Examples:

        vgpu-emu explain 0x1203 0x208

        vgpu-emu explain ERR_UNSPEC SUBMIT_3D

        vgpu-emu explain "*ERROR* response 0x1200 (command 0x207)"

        vgpu-emu explain RESOURCE_MAP_BLOB

        vgpu-emu explain cache --exporter wc --platform arm64-fwb

    Parameters
    ----------
    words
        A response type, a command type, or both; or a line of the kernel's log.
    json_
        One JSON object instead of text.
    """
    response, command = _types(" ".join(words).split())
    explanation = explanation_of(response, command)
    if json_:
        print(_as_json(response, command, explanation))
    else:
        print(*_as_text(response, command, explanation, painter(sys.stdout)), sep="\n")


def _types(words: list[str]) -> tuple[int | None, int | None]:
    """Response and command; None for what was not given."""
    logged = _LOG_LINE.search(" ".join(words))
    numbers = [_number(word) for word in (logged.groups() if logged else words)]
    if not numbers or len(numbers) > 2:
        raise UsageError(f"a response, a command or both are wanted, not {len(words)} words: {_EXAMPLE}")
    responses = [number for number in numbers if is_response(number)]
    commands = [number for number in numbers if not is_response(number)]
    if len(responses) > 1 or len(commands) > 1:
        names, kind = " and ".join(map(type_name, numbers)), "response" if responses else "command"
        raise UsageError(f"{names}: that is a {kind} twice, one response and one command are wanted: {_EXAMPLE}")
    return next(iter(responses), None), next(iter(commands), None)


def _number(word: str) -> int:
    """The type that a word names. Raises UsageError."""
    shown = printable(word if len(word) <= 40 else f"{word[:40]}...")
    if number := _NUMBER.fullmatch(word):
        digits = (number["hex"] or number["decimal"]).lstrip("0")
        value = int(digits[:11] or "0", 16 if number["hex"] else 10)
        if value >= 1 << 32:
            raise UsageError(f"{shown}: a message type has 32 bits, at most 0xffffffff")
        if number["decimal"] and value not in _NAMES.values() and int(digits or "0", 16) in _NAMES.values():
            raise UsageError(f"{word} is no message type, but 0x{word} is {type_name(int(word, 16))}: write 0x{word}")
        return value
    name = _PREFIXES.sub("", word.upper())
    if name in _NAMES:
        return _NAMES[name]
    near = difflib.get_close_matches(name[:40], _NAMES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"numbers are written 0x208 or 520; try {_EXAMPLE}"
    raise UsageError(f"{shown} is no message type; {hint}")


def _as_json(response: int | None, command: int | None, explanation: Explanation) -> str:
    shown = {
        "schema": SCHEMA,
        "response": _name_or_number(response),
        "command": _name_or_number(command),
        "meaning": explanation.meaning,
        "checks": [failed._asdict() for failed in explanation.checks],
        "causes": explanation.causes,
    }
    return msgspec.json.encode(shown).decode()


def _name_or_number(number: int | None) -> str | int | None:
    names = {kind.value: kind.name for kind in CtrlType}
    return None if number is None else names.get(number, number)


def _as_text(response: int | None, command: int | None, explanation: Explanation, paint: Paint) -> Iterator[str]:
    width = min(shutil.get_terminal_size().columns, 110)
    yield paint("bold", " to ".join(title(number) for number in (response, command) if number is not None))
    yield _filled(explanation.meaning, width, "  ", "  ")
    if explanation.checks:
        succeeds = response is not None and response < FIRST_ERROR
        yield paint("bold", "What success can hide, by VMM" if succeeds else "Which check fails, by VMM")
        for vmm, checks in groupby(explanation.checks, key=lambda failed: failed.vmm):
            yield f"  {vmm}"
            yield from (_item(failed.check, width, "    ") for failed in checks)
    if explanation.causes:
        yield paint("bold", "Likely causes, and what to look at")
        yield from (_item(cause, width, "  ") for cause in explanation.causes)


def _item(text: str, width: int, indent: str) -> str:
    return _filled(text, width, f"{indent}- ", f"{indent}  ")


def _filled(text: str, width: int, first: str, others: str) -> str:
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)


group = App(name="explain")
group.default(explain)
group.command("vgpu_emu.cli.explain_cache:cache", name="cache")
group.command("vgpu_emu.cli.explain_scenario:scenario", name="scenario")
