"""Programs as bytes, for engines that know nothing else: dense, so that a changed byte is another sensible program.

A request is its command, a mask of the members that are not as a driver would leave them, and those members; small
numbers take a byte. Any bytes are a program: what is missing at the end reads as zero, numbers choose modulo how many.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

import msgspec
from msgspec.structs import fields, replace

from vgpu_emu.faults.drawing import draw
from vgpu_emu.faults.plan import AnyFault
from vgpu_emu.fuzz.actions import Break, Call, Elapse, Fail, Plug, Poke, Program, Reset, Restart, Schedule, Send, Step
from vgpu_emu.fuzz.boundary import FIELDS
from vgpu_emu.fuzz.calls import CALLS, NUMBERS
from vgpu_emu.fuzz.model.commands import COMMANDS
from vgpu_emu.fuzz.model.setup import PAGE, Asks, Setup, displays, with_needs
from vgpu_wire.messages import MESSAGES

#: bytes of a program of a corpus: longer ones are not kept
MAX_BYTES = 1 << 16
#: steps of a program
MAX_STEPS = 512
_COMMANDS = tuple(COMMANDS)
_CALLS = tuple(CALLS)
_ASKS = tuple(Asks)
#: how many bytes the fixed part of a request has, as a driver leaves it
_BLANK = {number: MESSAGES[number].layout.size for number in _COMMANDS}
_CAPACITY = 2048


class Reader:
    """Numbers out of bytes; zeros behind their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def __bool__(self) -> bool:
        """There are bytes left."""
        return self._place < len(self._data)

    def byte(self) -> int:
        self._place += 1
        return self._data[self._place - 1] if self._place <= len(self._data) else 0

    def number(self) -> int:
        """LEB128, of 64 bits."""
        value = shift = 0
        while shift < 70:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        return value % (1 << 64)

    def block(self) -> bytes:
        """A number, and as many bytes, as far as there are some."""
        size = self.number()
        start, self._place = self._place, min(self._place + size, max(len(self._data), self._place))
        return self._data[start : self._place]


def number(value: int) -> bytes:
    """What `Reader.number` reads."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def block(data: bytes) -> bytes:
    return number(len(data)) + data


# -- requests


class _Request(NamedTuple):
    """place: of the command. members: those that are not zero. tail: what follows the fixed part."""

    place: int
    members: dict[int, int]
    tail: bytes


def _request(data: bytes) -> _Request | None:
    """None: bytes that are not a request with its fixed part whole."""
    command = int.from_bytes(data[:4], "little")
    if command not in COMMANDS or len(data) < _BLANK[command]:
        return None
    members = {}
    for index, field in enumerate(FIELDS[command]):
        value = int.from_bytes(data[field.offset : field.offset + field.size], "little")
        if value:
            members[index] = value
    request = _Request(_COMMANDS.index(command), members, data[_BLANK[command] :])
    return request if _bytes_of(request) == data else None


def _bytes_of(request: _Request) -> bytes:
    command = _COMMANDS[request.place]
    data = bytearray(_BLANK[command])
    data[:4] = command.to_bytes(4, "little")
    for index, value in request.members.items():
        field = FIELDS[command][index]
        data[field.offset : field.offset + field.size] = (value % (1 << field.size * 8)).to_bytes(field.size, "little")
    return bytes(data) + request.tail


def _write_request(request: _Request) -> bytes:
    mask = sum(1 << index for index in request.members)
    members = b"".join(number(value) for value in request.members.values())
    return number(mask) + members + block(request.tail)


def _read_request(index: int, reader: Reader) -> bytes:
    mask = reader.number()
    members = {i: reader.number() for i in range(len(FIELDS[_COMMANDS[index]])) if mask >> i & 1}
    return _bytes_of(_Request(index, members, reader.block()))


# -- steps: first byte -> the kind; commands come first

_KINDS = len(_COMMANDS)
# what comes later goes behind the others: bytes that were programs stay those
_RAW, _POKE, _ELAPSE, _PLUG, _RESTART, _RESET, _FAIL, _CALL, _BREAK, _SCHEDULE, _BIND = range(_KINDS, _KINDS + 11)


def _write(step: Step) -> bytes:
    match step:
        case Send(data=data, queue=queue, capacity=capacity):
            request, carried = _request(data), bytes([queue]) + number(capacity ^ _CAPACITY)
            if request is None or queue != COMMANDS[_COMMANDS[request.place]].queue:
                return bytes([_RAW]) + carried + block(data)
            return bytes([request.place]) + carried[1:] + _write_request(request)
        case Poke(address=address, data=data):
            return bytes([_POKE]) + number(address) + block(data)
        case Elapse(microseconds=microseconds):
            return bytes([_ELAPSE]) + number(microseconds)
        case Plug(scanout_id=scanout_id, width=width, height=height):
            return bytes([_PLUG]) + number(scanout_id) + number(width) + number(height)
        case Restart():
            return bytes([_RESTART])
        case Reset(features=known):
            return bytes([_RESET]) if known is None else bytes([_BIND]) + number(known)
        case Fail(errno=errno, skip=skip, extra=extra, lose=lose):
            return bytes([_FAIL]) + number(errno) + number(skip) + bytes([extra << 1 | lose])
        case Call(name=name, numbers=numbers):
            return bytes([_CALL, _CALLS.index(name), len(numbers)]) + b"".join(number(value) for value in numbers)
        case Break(fault=fault):
            return bytes([_BREAK]) + block(msgspec.json.encode(fault))
        case Schedule(seed=seed):
            return bytes([_SCHEDULE]) + number(seed)


def _read(reader: Reader) -> Step:
    kind = reader.byte() % (_BIND + 1)
    if kind < _KINDS:
        capacity = reader.number() ^ _CAPACITY
        return Send(_read_request(kind, reader), COMMANDS[_COMMANDS[kind]].queue, capacity)
    return _READ[kind](reader)


def _read_raw(reader: Reader) -> Step:
    queue, capacity = reader.byte() % 2, reader.number() ^ _CAPACITY
    return Send(reader.block(), queue, capacity)


def _read_fail(reader: Reader) -> Step:
    errno, skip, rest = reader.number() % 134, reader.number() % 8, reader.byte()
    return Fail(errno, skip, rest >> 1 & 3, bool(rest & 1))


def _read_break(reader: Reader) -> Step:
    """A fault in JSON; bytes that are none choose one."""
    data = reader.block()
    try:
        return Break(msgspec.json.decode(data, type=AnyFault))
    except (msgspec.DecodeError, ValueError):
        return Break(draw(Random(data), 1)[0])


def read_call(reader: Reader) -> Call:
    """What `encode` makes of a Call, without the byte that says that it is one."""
    name = _CALLS[reader.byte() % len(_CALLS)]
    return Call(name, tuple(reader.number() % 256 for _ in range(reader.byte() % 7))[: len(NUMBERS[name])])


_READ: dict[int, Callable[[Reader], Step]] = {
    _RAW: _read_raw,
    _POKE: lambda reader: Poke(reader.number(), reader.block()),
    _ELAPSE: lambda reader: Elapse(reader.number() % (1 << 32)),
    _PLUG: lambda reader: Plug(reader.number() % 16, reader.number() % (1 << 14), reader.number() % (1 << 14)),
    _RESTART: lambda _reader: Restart(),
    _RESET: lambda _reader: Reset(),
    _FAIL: _read_fail,
    _CALL: read_call,
    _BREAK: _read_break,
    _SCHEDULE: lambda reader: Schedule(reader.number()),
    _BIND: lambda reader: Reset(_bounded("features", reader.number())),
}

# -- setups: members that are not the default

_DISPLAYS = "displays"
_NUMBERS = (*(field.name for field in fields(Setup) if isinstance(field.default, int)), _DISPLAYS)
_DEFAULT = Setup()


def _write_setup(setup: Setup) -> bytes:
    """Raises ValueError for displays or capsets that programs do not have: the bytes have no place for them."""
    if not setup.scanouts or setup.scanouts != displays(len(setup.scanouts)) or setup.capsets != _DEFAULT.capsets:
        raise ValueError("a program in bytes has the capsets that every program has, and up to 16 of its displays")
    values, before = _numbers(setup), _numbers(_DEFAULT)
    changed = [index for index, value in enumerate(values) if value != before[index]]
    mask = sum(1 << index for index in changed)
    return bytes([_ASKS.index(setup.asks)]) + number(mask) + b"".join(number(values[index]) for index in changed)


def _numbers(setup: Setup) -> list[int]:
    return [len(setup.scanouts) if name == _DISPLAYS else int(getattr(setup, name)) for name in _NUMBERS]


def _read_setup(reader: Reader) -> Setup:
    asks, mask = _ASKS[reader.byte() % len(_ASKS)], reader.number()
    values = {name: reader.number() for index, name in enumerate(_NUMBERS) if mask >> index & 1}
    scanouts = displays(1 + (values.pop(_DISPLAYS, len(_DEFAULT.scanouts)) - 1) % len(displays(16)))
    return replace(
        _DEFAULT, asks=asks, scanouts=scanouts, **{name: _bounded(name, value) for name, value in values.items()}
    )


#: what an engine may ask for at most, where the default is not the most
_MOST = {
    "features": 0x3F,
    "guess": 3,
    "real": 1,
    "host_visible": 1 << 24,
    "blob_alignment": 1 << 20,
    "memory": 1 << 21,
    "submit_bytes": 1 << 14,
}


def _bounded(name: str, value: int) -> int | bool:
    most = _MOST.get(name, getattr(_DEFAULT, name))
    value = value if value <= most else value % (most + 1)
    if name == "features":
        return with_needs(value)
    if name in {"memory", "host_visible"}:
        return max(value & -PAGE, PAGE)
    return bool(value) if name == "real" else value


# -- programs


def encode(program: Program) -> bytes:
    """Raises ValueError for a program that has no bytes."""
    return _write_setup(program.setup) + b"".join(_write(step) for step in program.steps)


def decode(data: bytes) -> Program:
    """The program in any bytes."""
    reader = Reader(data)
    setup = _read_setup(reader)
    return Program(setup, tuple(_steps(reader)))


def _steps(reader: Reader) -> Iterator[Step]:
    for _ in range(MAX_STEPS):
        if not reader:
            return
        yield _read(reader)
