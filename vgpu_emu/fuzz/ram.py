"""Guest memory, filled so that what is taken from a wrong place shows; kept from one machine to the next.

To clear what is there takes a tenth of the time that the kernel needs to give a process fresh pages.
"""

from functools import lru_cache

#: bytes at the end that are filled; what is before them reads as zero, and is hardly used
_FILLED = 1 << 17
#: bytes of memory that are kept
_KEPT = 1 << 23

#: by their size, memories that nobody uses
_idle: dict[int, list[bytearray]] = {}


def take_memory(size: int) -> bytearray:
    """Guest memory of so many bytes, filled. It is the caller's until it is given back, if ever."""
    idle = _idle.get(size)
    memory = idle.pop() if idle else bytearray(size)
    # through a view: a bytearray copies what it is assigned once more
    memoryview(memory)[:] = _filled(size)
    return memory


def give_back(memory: bytearray) -> None:
    """Nobody reads or writes it any more."""
    kept = sum(size * len(idle) for size, idle in _idle.items())
    if kept + len(memory) <= _KEPT:
        _idle.setdefault(len(memory), []).append(memory)


def pattern(size: int) -> bytes:
    """The last so many bytes of a memory: no word of it is another one."""
    return b"".join((place * 0x9E3779B1 % (1 << 32)).to_bytes(4, "little") for place in range(-(-size // 4)))[:size]


@lru_cache(maxsize=4)
def _filled(size: int) -> bytes:
    return bytes(max(size - _FILLED, 0)) + pattern(min(size, _FILLED))
