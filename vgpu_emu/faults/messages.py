"""What a fault can get hold of: the bytes of a message, whatever carries them, and its name."""

from typing import Any, NamedTuple

from msgspec.structs import replace

from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.trace.log import FENCES, GUEST, HOST, QUEUE_NAMES, RENDERER, VMM
from vgpu_wire.messages import type_name
from vgpu_wire.renderer_link import Op

#: more than are ever in flight
_REMEMBERED = 4096
_OPS = {op.value: op.name for op in Op}


class Name(NamedTuple):
    """Which message it is. answer: to the message of this name."""

    link: str
    message: str
    answer: bool

    def __str__(self) -> str:
        return f"the answer to {self.message}" if self.answer else self.message


def data_of(item: Any) -> bytes:
    """The bytes of a chain, a used chain, a parcel or a signal."""
    if isinstance(item, Chain):
        return item.readable
    if isinstance(item, Used):
        return item.written
    data: bytes = item[0] if isinstance(item, tuple) else item
    return data


def with_data(item: Any, data: bytes) -> Any:
    """The same with other bytes."""
    if isinstance(item, Chain):
        return replace(item, readable=data)
    if isinstance(item, Used):
        return replace(item, written=data)
    return (data, item[1]) if isinstance(item, tuple) else data


def link_of(item: Any) -> str:
    """The link that it crosses."""
    if isinstance(item, (Chain, Used)):
        return QUEUE_NAMES[item.queue]
    return RENDERER if isinstance(item, tuple) else FENCES


class _Recent(dict[Any, str]):
    """The last of many."""

    def __setitem__(self, key: Any, name: str) -> None:
        super().__setitem__(key, name)
        if len(self) > _REMEMBERED:
            del self[next(iter(self))]


class Names:
    """Remembers what was asked, so that an answer has a name, too."""

    def __init__(self) -> None:
        self._requests = _Recent()
        self._questions = _Recent()

    def of(self, item: Any, sender: str) -> Name:
        """sender: of a parcel: a question, if it is the VMM."""
        data = data_of(item)
        number = int.from_bytes(data[:4], "little")
        if isinstance(item, Chain):
            name = self._requests[item.queue, item.head] = type_name(number)
            return Name(QUEUE_NAMES[item.queue], name, False)
        if isinstance(item, Used):
            return Name(QUEUE_NAMES[item.queue], self._requests.get((item.queue, item.head), ""), True)
        if not isinstance(item, tuple):
            return Name(FENCES, "SIGNAL", False)
        if sender == VMM:
            self._questions[data[4:8]] = _OPS.get(number, "")
        return Name(RENDERER, self._questions.get(data[4:8], ""), sender == HOST)


def sender_of(name: Name) -> str:
    """Whose doing it looks like."""
    if name.link == FENCES:
        return HOST
    if name.link == RENDERER:
        return HOST if name.answer else VMM
    return VMM if name.answer else GUEST
