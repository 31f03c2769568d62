"""What a host can make of an answer before the guest sees it."""

from collections import deque
from collections.abc import Callable

from vgpu_emu.fuzz.encoding import Reader
from vgpu_emu.link.chain import Used
from vgpu_wire.control import CtrlHdr

#: the bytes of an answer, two numbers, bytes -> other bytes
_Change = Callable[[bytes, int, int, bytes], bytes]


_BODY = CtrlHdr.layout.size


def _put(data: bytes, place: int, value: int, size: int) -> bytes:
    place = place % max(len(data) - size + 1, 1)
    return data[:place] + (value % (1 << size * 8)).to_bytes(size, "little") + data[place + size :]


_CHANGES: tuple[_Change, ...] = (
    lambda data, _a, _b, _more: data,
    lambda data, a, _b, _more: _put(data, 0, 0x1100 + a % 8, 4),
    lambda data, a, _b, _more: _put(data, 0, 0x1200 + a % 8, 4),
    lambda data, a, _b, _more: _put(data, _BODY, a, 4),
    lambda data, a, b, _more: _put(data, a, b, 1),
    lambda data, a, b, _more: _put(data, 4 * a, b, 4),
    lambda data, a, b, _more: _put(data, 4 * a, b, 8),
    lambda data, a, _b, _more: data[: a % (len(data) + 1)],
    lambda data, _a, _b, more: data + more,
    lambda _data, _a, _b, more: more,
)
#: the answer comes twice, never, with the next one, under another head, on the other queue
_TWICE, _NEVER, _LATER, _HEAD, _QUEUE = range(5)


class Lie:
    """One, read from bytes."""

    def __init__(self, reader: Reader) -> None:
        kind = reader.byte()
        self._change = _CHANGES[kind % len(_CHANGES)]
        #: behind them there is nothing that happens to it
        self.fate = kind // len(_CHANGES)
        self._numbers = reader.number(), reader.number()
        self._more = reader.block()

    def of(self, used: Used) -> Used:
        written = self._change(used.written, *self._numbers, self._more)
        head = used.head + self._numbers[0] - 8 if self.fate == _HEAD else used.head
        return Used(head, used.queue ^ (self.fate == _QUEUE), written)


class Liar:
    """Tells a lie for each answer, as long as it has some."""

    def __init__(self) -> None:
        self._lies: deque[Lie] = deque()
        self._kept: list[Used] = []

    def add(self, lie: Lie) -> None:
        self._lies.append(lie)

    def tell(self, used: Used) -> list[Used]:
        """What arrives instead of this answer, and when."""
        if not self._lies:
            return [used, *self._let_go()]
        lie = self._lies.popleft()
        told = lie.of(used)
        if lie.fate == _NEVER:
            return []
        if lie.fate == _LATER:
            self._kept.append(told)
            return []
        return [told, *self._let_go(), *([told] if lie.fate == _TWICE else [])]

    def _let_go(self) -> list[Used]:
        kept, self._kept = self._kept, []
        return kept
