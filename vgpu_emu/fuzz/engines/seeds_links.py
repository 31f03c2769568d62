"""Seeds of what is below messages: rings, and sessions of vhost-user, vfio-user and between our own processes."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from vgpu_emu.fuzz.encoding import block, number
from vgpu_wire.vfio_user import Command
from vgpu_wire.vhost_user import VERSION, FrontendRequest

#: what is passed with a message, as messages.py has it
_FILE, _EVENT, _SOCKET = range(3)
#: of vhost-user's requests, those that do not come with eventfds
_PASSED = {
    FrontendRequest.SET_MEM_TABLE: _FILE,
    FrontendRequest.SET_BACKEND_REQ_FD: _SOCKET,
    FrontendRequest.GPU_SET_SOCKET: _SOCKET,
}


def replaced(answer: bytes) -> bytes:
    """A lie (lies.py): this answer instead of what the device said."""
    return bytes([9]) + number(0) + number(0) + block(answer)


# -- rings: the steps of rings.py

_DESCRIBE, _HEAD, _POP, _PUSH = range(4)
_ADD, _USE, _GET = 0, 1, 2


def _descriptor(index: int, address: int, length: int, flags: int, following: int = 0) -> bytes:
    return bytes([_DESCRIBE, index]) + number(address) + number(length) + bytes([flags, following])


def vrings(_root: Path) -> Iterator[Sequence[bytes]]:
    """With 8 entries: a pair, a chain in a table (at entry 64), answers, each with and without the features."""
    pair = [_descriptor(0, 0x2000, 32, 1, 1), _descriptor(1, 0x2100, 64, 2), bytes([_HEAD, 0]), bytes([_POP])]
    table = [_descriptor(0, 64 * 16, 32, 4), _descriptor(64, 0x2000, 32, 1, 1), _descriptor(65, 0x2100, 64, 2)]
    push = [bytes([_PUSH, 0]) + number(24)]
    driver = [bytes([_ADD, 0, 39, 1, 23]), bytes([_USE]) + number(0) + number(24), bytes([_GET])]
    for features in (0, 16, 32, 48):
        setup = 3 << 1 | features
        yield [bytes([setup]), *pair, *push]
        yield [bytes([setup]), *table, bytes([_HEAD, 0]), bytes([_POP]), *push]
        yield [bytes([setup | 1]), *driver, *driver]


# -- sessions: the messages of messages.py


def sessions(root: Path) -> Iterator[Sequence[bytes]]:
    for file in sorted((root / "tests" / "data" / "vhost_user").glob("*.jsonl")):
        entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        yield [b"\0", *(_recorded(e) for e in entries if (e["socket"], e["from"]) == ("main", "qemu"))]
    for file in sorted((root / "tests" / "data" / "peers").glob("*.txt")):
        yield [b"\1", *map(_client, file.read_text(encoding="ascii").splitlines())]
    yield [b"\2", *_packets()]


def _recorded(entry: dict[str, str]) -> bytes:
    """A recorded message of vhost-user."""
    data = bytes.fromhex(entry["hex"])
    kind = _PASSED.get(FrontendRequest(data[0]), _EVENT)
    return bytes([data[0], data[4] ^ VERSION]) + block(data[12:]) + bytes([kind << 4 | int(entry["fds"])])


def _client(line: str) -> bytes:
    """A recorded message of vfio-user."""
    data, fds = bytes.fromhex(line.split(maxsplit=1)[0]), int(line.split()[1])
    kind = _FILE if data[2] == Command.DMA_MAP else _EVENT
    return bytes([data[2], data[8]]) + block(data[16:]) + bytes([kind << 4 | fds])


def _packets() -> Iterator[bytes]:
    """A message of one packet with a descriptor, and one of two packets."""
    yield number(4) + number(0) + number(65) + block(b"ping") + bytes([1, 0x11])
    piece = (1 << 16) - 16
    yield number(piece + 16) + number(0) + number(0) + block(bytes(1024)) + bytes([255, 0])
    yield number(piece + 16) + number(piece) + number(0) + block(bytes(16)) + bytes([1, 0])
