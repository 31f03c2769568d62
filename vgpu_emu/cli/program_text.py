"""Programs for people: a line a step."""

from vgpu_emu.fuzz.actions import Program, Send, Step
from vgpu_wire.control import CtrlHdr
from vgpu_wire.device import CURSORQ
from vgpu_wire.errors import WireError
from vgpu_wire.messages import parse_message, type_name


def listed(program: Program) -> list[str]:
    """The steps, and before them nothing of the setup: a program of any device is read the same way."""
    return [_line(step) for step in program.steps]


def _line(step: Step) -> str:
    if isinstance(step, Send):
        return _request(step)
    values = [f"{name}={getattr(step, name)}" for name in step.__struct_fields__]
    return f"{type(step).__name__} {', '.join(values)}"


def _request(send: Send) -> str:
    """The command and its members that are not 0."""
    queue = " on the cursorq" if send.queue == CURSORQ else ""
    room = "" if send.capacity == 2048 else f", room for {send.capacity} bytes"
    name = type_name(int.from_bytes(send.data[:4], "little"))
    try:
        record = parse_message(send.data)
    except WireError as error:
        return f"{name}{queue}{room}: {len(send.data)} bytes, {error}"
    return f"{name} {_members(record)}{queue}{room}".replace(" ,", ",")


def _members(record: CtrlHdr) -> str:
    values = {name: getattr(record, name) for name in record.__struct_fields__ if name != "type"}
    return ", ".join(f"{name}={_value(value)}" for name, value in values.items() if _is_something(value))


def _is_something(value: object) -> bool:
    return any(value) if isinstance(value, bytes) else bool(value)


def _value(value: object) -> str:
    return value.rstrip(b"\0").hex() if isinstance(value, bytes) else str(value)
