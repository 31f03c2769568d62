"""The host's memory, looked at from outside: what a server maps into its guest."""

import os
from collections.abc import Iterator

#: how QEMU calls the guest's RAM
_RAM = "memory-backend-memfd"
_CHUNK = 1 << 20
ANSWER = b"seen, and answered, on the host"
#: behind the greeting, in bytes; the guest's program looks there
_ANSWER_AT = 64


def answer_greeting(pid: int, greeting: bytes) -> bool:
    """Find the greeting in a memfd of the process that is not the guest's RAM, and write an answer behind it.

    Neither the process nor the guest takes part: what is found is the memory that both have.
    """
    for path in _memfds(pid):
        with open(path, "r+b", buffering=0) as memory:
            place = _find(memory.fileno(), greeting)
            if place is not None:
                os.pwrite(memory.fileno(), ANSWER + b"\0", place + _ANSWER_AT)
                return True
    return False


def _memfds(pid: int) -> Iterator[str]:
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        try:
            target = os.readlink(path)
        except FileNotFoundError:
            continue
        if target.startswith("/memfd:") and _RAM not in target:
            yield path


def _find(descriptor: int, wanted: bytes) -> int | None:
    """Where in a file, whose holes are not read, these bytes are."""
    end, start = os.fstat(descriptor).st_size, 0
    while start < end:
        try:
            start = os.lseek(descriptor, start, os.SEEK_DATA)
        except OSError:
            return None
        found = os.pread(descriptor, _CHUNK, start).find(wanted)
        if found >= 0:
            return start + found
        start += _CHUNK - len(wanted)
    return None
