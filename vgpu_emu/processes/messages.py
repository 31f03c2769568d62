"""What the machine and a party's process say to each other: calls, and results with all that happened meanwhile.

msgpack, decoded into these records: what does not fit them is refused, and nothing in them is code.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from vgpu_emu.ids import Fd
from vgpu_emu.memory import Memory, PassedFd


class Handed(msgspec.Struct, frozen=True, array_like=True):
    """A descriptor beside a message. number: in the modelled receiver's table. size: bytes, of a memory without any;
    None: it is a real one, passed with SCM_RIGHTS."""

    number: Fd
    size: int | None = None


class Noted(msgspec.Struct, frozen=True, tag=True):
    """A note of the party, for the machine's log."""

    who: str
    name: str
    values: dict[str, Any]


class Shown(msgspec.Struct, frozen=True, tag=True):
    """The VMM has mapped memory into the host visible region. real: its descriptor comes beside the message."""

    offset: int
    length: int
    start: int
    size: int
    real: bool


class Hidden(msgspec.Struct, frozen=True, tag=True):
    """The VMM has unmapped the slot that starts at `offset`."""

    offset: int


class Exported(msgspec.Struct, frozen=True, tag=True):
    """The host's kernel has a new dma-buf. file: tells its memory from every other."""

    inode: int
    size: int
    exporter: str
    file: tuple[int, int]


class Released(msgspec.Struct, frozen=True, tag=True):
    """A dma-buf is gone. file: as in `Exported`."""

    file: tuple[int, int]


Seen = Noted | Shown | Hidden | Exported | Released


class Failed(msgspec.Struct, frozen=True):
    """The call raised: an OSError with its errno, or an error of this name. text: what it said."""

    error: str
    text: str
    errno: int = 0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What every call gets. value: what it returns, in plain values. seen: in order; `Shown.real` ones take their
    descriptors first, then come the handed ones."""

    value: Any = None
    failed: Failed | None = None
    seen: Sequence[Seen] = ()
    handed: Sequence[Handed] = ()


class Asks(msgspec.Struct, frozen=True, tag=True):
    """The VMM has a question to the renderer before it can go on. steps: names what waits for the reply."""

    steps: int
    question: bytes


class Done(msgspec.Struct, frozen=True, tag=True):
    """Nothing more to ask."""

    value: Any = None


def hand(passed: Sequence[PassedFd]) -> tuple[list[Handed], list[int]]:
    """How descriptors are said, and the real ones to send."""
    handed = [Handed(p.fd, p.memory.size if p.memory.fileno is None else None) for p in passed]
    return handed, [p.memory.fileno for p in passed if p.memory.fileno is not None]


def take(handed: Sequence[Handed], fds: Iterator[int]) -> tuple[PassedFd, ...]:
    """The descriptors that came. One that is no sealed memfd, or that this process had no room for, has no bytes."""
    return tuple(PassedFd(h.number, _memory(h.size, fds)) for h in handed)


def take_shown(seen: Sequence[Seen], fds: Iterator[int]) -> "list[tuple[Seen, Memory | None]]":
    """What happened, each with the memory of a slot that was shown."""
    return [(s, _memory(None if s.real else s.size, fds) if isinstance(s, Shown) else None) for s in seen]


def _memory(size: int | None, fds: Iterator[int]) -> Memory:
    if size is not None:
        return Memory(size, None)
    fd = next(fds, None)
    try:
        return Memory(0, None) if fd is None else Memory.received(fd)
    except OSError:
        return Memory(0, None)


def raise_failed(failed: Failed | None, *known: type[Exception]) -> None:
    """What the call raised there is raised here. known: errors that it may be, beside the usual ones."""
    if failed is None:
        return
    if failed.errno:
        raise OSError(failed.errno, failed.text)
    errors = {error.__name__: error for error in (*known, IndexError, LookupError)}
    raise errors.get(failed.error, ValueError)(failed.text)
