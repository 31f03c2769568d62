"""A program as a scenario file that the reference watches. `reading.program_of` reads it back as it was."""

from collections.abc import Callable, Iterator
from errno import errorcode
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from vgpu_emu.fuzz.actions import Break, Call, Elapse, Fail, Plug, Poke, Program, Reset, Restart, Schedule, Send, Step
from vgpu_emu.fuzz.calls import NUMBERS
from vgpu_emu.fuzz.configuring import features_of
from vgpu_emu.fuzz.core import Core
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.setup import Asks, Setup
from vgpu_emu.fuzz.saying import Names
from vgpu_emu.fuzz.toml import toml_table
from vgpu_emu.scenario.steps_raw import MAX_CAPACITY
from vgpu_emu.scenario.wire import build, capacity_for
from vgpu_emu.trace.ladder import rungs
from vgpu_emu.trace.log import QUEUE_NAMES, Log
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_wire.blob import MapCache
from vgpu_wire.control import FIRST_RESPONSE, CtrlType
from vgpu_wire.device import CURSORQ, Feature
from vgpu_wire.errors import WireError
from vgpu_wire.layout import to_fields
from vgpu_wire.messages import MESSAGES

#: a table of a scenario file
Table = dict[str, Any]
LIMITS = tuple(name for name in asdict(DeviceLimits()) if name in asdict(Setup()))


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What stands above a program. target: what it runs on; profile: whose VMM that is; None: strict."""

    id: str
    why: str
    source: str
    target: str = "core"
    profile: Profile | None = None


def tell(program: Program, head: Head) -> str:
    """The text of a scenario file. What calls of the guest program do is told beside them."""
    program = settled(program)
    faults = [msgspec.to_builtins(step.fault) for step in program.steps if isinstance(step, Break)]
    steps = [_TOLD[type(step)](step) for step in program.steps if not isinstance(step, Break | Schedule)]
    for table, words in zip(steps, _comments(program), strict=False):
        if words:
            table["comment"] = words
    parts = [toml_table("", _top(program.setup, head))]
    parts += [toml_table(f"[{name}]", table) for name, table in _tables(program, head).items()]
    parts += [toml_table("[[fault]]", fault) for fault in faults]
    return "\n".join([*parts, *(toml_table("[[step]]", step) for step in steps)])


def settled(program: Program) -> Program:
    """The same program as a file tells it: how links and tasks are comes first, displays are those that there are, room
    for answers has a limit, and where nothing is done that takes no time."""
    first = [step for step in program.steps if isinstance(step, Schedule)][:1]
    weather = [step for step in program.steps if isinstance(step, Break)]
    others = [_settled(step, program.setup) for step in program.steps if not isinstance(step, Break | Schedule)]
    return Program(program.setup, (*first, *weather, *(others or [Elapse(0)])))


def _settled(step: Step, setup: Setup) -> Step:
    if isinstance(step, Send):
        return replace(step, capacity=min(step.capacity, MAX_CAPACITY))
    if isinstance(step, Plug):
        size = (step.width, step.height) if step.width and step.height else (0, 0)
        return Plug(step.scanout_id % len(setup.scanouts), *size)
    if isinstance(step, Reset) and step.features is not None:
        return Reset.by(step.features, setup)
    if isinstance(step, Call):
        return replace(step, numbers=step.numbers[: len(NUMBERS[step.name])])
    return step


# -- the machine


def _top(setup: Setup, head: Head) -> Table:
    offers = frozenset(Feature) if head.profile is None else head.profile.offers
    features = _names(features_of(setup.features) & offers)
    profile = {} if head.profile is None else {"profile": head.profile.name}
    return {"id": head.id, "why": head.why, "source": head.source, **profile, "features": features}


def _names(features: frozenset[Feature]) -> list[str]:
    return [feature.name.lower() for feature in sorted(features)]


def _tables(program: Program, head: Head) -> dict[str, Table]:
    setup = program.setup
    schedule = [step.seed for step in program.steps if isinstance(step, Schedule)]
    hardware = {
        "scanouts": [list(size) for size in setup.scanouts],
        "host_visible": setup.host_visible,
        "guest_memory": setup.memory,
        "blob_alignment": setup.blob_alignment,
    }
    return {
        "oracles": {"target": head.target, **({"schedule": schedule[0]} if schedule else {})},
        "hardware": hardware,
        "host": _host(setup),
        "limits": {name: getattr(setup, name) for name in LIMITS},
    }


def _host(setup: Setup) -> Table:
    return {
        "ioctl": setup.asks is not Asks.GUESS,
        "dialect": "rfc3" if setup.asks is Asks.RFC3 else "rfc1",
        "guess": MapCache(setup.guess).name.lower(),
        "memory": setup.object_bytes,
        "objects": setup.objects,
        "bytes": setup.real,
    }


# -- steps


def _send(step: Send) -> Table:
    table: Table = {"do": "raw", **request(step.data)}
    number = int.from_bytes(step.data[:4], "little")
    if (step.queue == CURSORQ) != (number in _CURSOR):
        table["queue"] = QUEUE_NAMES[step.queue]
    return table if step.capacity == capacity_for(number) else {**table, "capacity": step.capacity}


_CURSOR = {CtrlType.UPDATE_CURSOR.value, CtrlType.MOVE_CURSOR.value}


def _plug(step: Plug) -> Table:
    if not step.width:
        return {"do": "unplug", "scanout": step.scanout_id}
    return {"do": "plug", "scanout": step.scanout_id, "width": step.width, "height": step.height}


def _rebind(step: Reset) -> Table:
    return {"do": "rebind", **({} if step.features is None else {"features": _names(features_of(step.features))})}


def _fail(step: Fail) -> Table:
    said = {name: value for name, value in asdict(step).items() if value}
    return {"do": "host-fails", **said, **({"errno": _errno(step.errno)} if step.errno else {})}


def _errno(number: int) -> str | int:
    return errorcode.get(number, number)


def _call(step: Call) -> Table:
    numbers = dict(zip(NUMBERS[step.name], step.numbers, strict=False))
    return {"do": "call", "call": step.name, **({"with": numbers} if numbers else {})}


_TOLD: dict[type[Step], Callable[[Any], Table]] = {
    Send: _send,
    Poke: lambda step: {"do": "guest-write", "address": step.address, "bytes": step.data.hex()},
    Elapse: lambda step: {"do": "sleep", "seconds": step.microseconds / 1e6},
    Plug: _plug,
    Restart: lambda step: {"do": "restart-vmm"},
    Reset: _rebind,
    Fail: _fail,
    Call: _call,
}


def _comments(program: Program) -> Iterator[str]:
    """What each step does on a machine without defects, where its members do not tell; as far as that one comes."""
    core = Core(program.setup)
    names = Names(core.guest)
    try:
        for step in program.steps:
            if isinstance(step, Call):
                yield names.tell(step, partial(core.do, step))
            elif not isinstance(step, Break | Schedule):
                yield _stream(step) if isinstance(step, Send) else ""
                core.do(step)
    except Finding:
        return
    finally:
        core.close()


def _stream(step: Send) -> str:
    """A command stream in words."""
    if step.data[:4] != CtrlType.SUBMIT_3D.to_bytes(4, "little"):
        return ""
    log = Log()
    log.message("controlq", "guest", "vmm", step.data)
    return next(rungs(log.events)).detail


# -- requests


def request(data: bytes) -> Table:
    """Members by their names, where these say it all; else the bytes. Of one that is too short, what is cut off; of one
    that is too long, what is behind it."""
    number = int.from_bytes(data[:4], "little")
    if number in MESSAGES:
        size = MESSAGES[number].layout.size
        for whole, spoilt in (
            (data, {}),
            (data.ljust(size, b"\0"), {"cut": len(data)}),
            (data[:size], {"append": data[size:].hex()}),
        ):
            fields = _fields(number, whole)
            if fields is not None:
                word = CtrlType(number).name if 0 < number < FIRST_RESPONSE else number
                return {"message": word, **({"fields": fields} if fields else {}), **spoilt}
    return {"bytes": data.hex()}


def _fields(number: int, data: bytes) -> Table | None:
    """None: they do not say it all."""
    try:
        fields = _members(MESSAGES[number].parse(data))
        return fields if build(number, fields) == data else None
    except (WireError, ValueError, TypeError, UnicodeDecodeError):
        return None


def _members(record: Any) -> Table:
    said = _said(to_fields(record))
    header = {f"hdr.{name}": value for name, value in said.pop("hdr", {}).items() if name != "type"}
    return {**header, **{name: value for name, value in said.items() if name != "type"}}


def _said(value: Any) -> Any:
    """Without what is zero; fixed bytes as text."""
    if isinstance(value, dict):
        return {name: _said(each) for name, each in value.items() if not _is_nothing(each)}
    if isinstance(value, list | tuple):
        return [_said(each) for each in value]
    if isinstance(value, bytes):
        text = value.rstrip(b"\0")
        return text.decode() if len(value) == 64 else value.hex()
    return value


def _is_nothing(value: Any) -> bool:
    return not any(value) if isinstance(value, bytes) else value in (0, (), [], {})
