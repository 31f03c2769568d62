"""`check_link`: our links pass, and links with a defect each break the rule that it is about."""

import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
import trio
import trio.testing

from vgpu_emu.faults.links import FaultyPort, Gate
from vgpu_emu.ids import Fd
from vgpu_emu.link.channel import ChannelPort, Parcel, open_link
from vgpu_emu.link.seqpacket import Seqpacket
from vgpu_emu.link.stream import StreamPort
from vgpu_emu.memory import Memory, PassedFd, let_go
from vgpu_emu.testing import check_link
from vgpu_emu.testing.links import _RULES, LinkPort

pytestmark = pytest.mark.usefixtures("nothing_left")
Pair = tuple[LinkPort, LinkPort]
Pieces = ChannelPort[Parcel, Parcel]


class Over:
    """Middleware that changes nothing, to be made wrong."""

    def __init__(self, port: Pieces) -> None:
        self.port = port

    def send(self, item: Parcel) -> None:
        self.port.send(item)

    async def receive(self) -> Parcel:
        return await self.port.receive()

    def undelivered(self) -> Sequence[Parcel]:
        return self.port.undelivered()

    def close(self) -> None:
        self.port.close()


class Framed(StreamPort):
    """A stream of bytes, and what its pieces have not delivered."""

    def __init__(self, pieces: Pieces) -> None:
        super().__init__(pieces)
        self.below = pieces

    def undelivered(self) -> list[Parcel]:
        return [*super().undelivered(), *self.below.undelivered()]


class Faultless(FaultyPort):
    """The middleware of faults, of which none happens."""

    def __init__(self, port: Pieces) -> None:
        super().__init__(port, lambda _, item: [item], gate=Gate())
        self.below = port

    def undelivered(self) -> list[Parcel]:
        return [*super().undelivered(), *self.below.undelivered()]


class Packets:
    """The socket of the isolated parties as a port. What is on its way is in the kernel."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._link = Seqpacket(end, timeout=1.0)
        self._closed = False

    def send(self, item: Parcel) -> None:
        self._check()
        data, fds = item
        try:
            self._link.send(data, [passed.memory.fileno for passed in fds if passed.memory.fileno is not None])
        except OSError as error:
            raise trio.BrokenResourceError from error
        let_go(fds)

    async def receive(self) -> Parcel:
        self._check()
        await trio.lowlevel.wait_readable(self._end)
        try:
            data, fds, _ = self._link.receive()
        except (EOFError, OSError) as error:
            raise trio.EndOfChannel from error
        return data, tuple(PassedFd(Fd(fd), Memory.received(fd)) for fd in fds)

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError

    def undelivered(self) -> list[Parcel]:
        return []

    def close(self) -> None:
        if not self._closed:
            trio.lowlevel.notify_closing(self._end)
        self._closed = True
        self._link.close()


def over(kind: Callable[[Pieces], LinkPort]) -> Callable[[], Awaitable[Pair]]:
    async def make() -> Pair:
        here, there = open_link(tuple, tuple)
        return kind(here), kind(there)

    return make


async def packets() -> Pair:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Packets(here), Packets(there)


@pytest.mark.parametrize("kind", [lambda port: port, Over, Framed, Faultless])
async def test_our_links_pass(kind: Callable[[Pieces], LinkPort], autojump_clock: trio.testing.MockClock) -> None:
    await check_link(over(kind))


class Reorders(Over):
    held: Parcel | None = None

    def send(self, item: Parcel) -> None:
        for parcel in (item, self.held):
            if parcel is not None and item[0] not in {b"\x07", b"\x08"}:
                super().send(parcel)
        self.held = item if item[0] in {b"\x07", b"\x08"} else None


class Cuts(Over):
    def send(self, item: Parcel) -> None:
        super().send((item[0][:65536], item[1]))


class DropsEmpty(Over):
    def send(self, item: Parcel) -> None:
        if item[0]:
            super().send(item)


class Echoes(Over):
    async def receive(self) -> Parcel:
        data, fds = await super().receive()
        return (b"back" if data == b"forth" else data), fds


class Impatient(Over):
    async def receive(self) -> Parcel:
        with trio.move_on_after(0.0005):
            return await super().receive()
        return b"", ()


class LosesCancelled(Over):
    """The receive that was cancelled still takes the next message."""

    takes_one = False

    async def receive(self) -> Parcel:
        if self.takes_one:
            self.takes_one = False
            await super().receive()
        try:
            return await super().receive()
        except trio.Cancelled:
            self.takes_one = True
            raise


class LosesDescriptors(Over):
    def send(self, item: Parcel) -> None:
        let_go(item[1][1:])
        super().send((item[0], item[1][:1]))


class TurnsDescriptors(Over):
    def send(self, item: Parcel) -> None:
        super().send((item[0], item[1][::-1]))


class CopiesMemory(Over):
    def send(self, item: Parcel) -> None:
        copies = []
        for fd, memory in item[1]:
            copies.append(PassedFd(fd, Memory.memfd(memory.size, "a copy")))
            copies[-1].memory.write(0, memory.read(0, memory.size))
            memory.release()
        super().send((item[0], tuple(copies)))


class KeepsMemory(Over):
    def __init__(self, port: Pieces) -> None:
        super().__init__(port)
        self.kept: list[Memory] = []

    def send(self, item: Parcel) -> None:
        self.kept += [passed.memory.hold() for passed in item[1]]
        super().send(item)

    def close(self) -> None:
        super().close()
        for memory in self.kept:
            memory.release()
        self.kept.clear()


class DropsLastWords(Over):
    async def receive(self) -> Parcel:
        parcel = await super().receive()
        if parcel[0] == b"last words":
            raise trio.EndOfChannel
        return parcel


class NeverEnds(Over):
    async def receive(self) -> Parcel:
        try:
            return await super().receive()
        except trio.EndOfChannel:
            await trio.sleep_forever()
            raise


class NeverWakes(Over):
    """Only who does not wait yet learns that the other end is closed."""

    async def receive(self) -> Parcel:
        at_once: Any = self.port
        try:
            parcel: Parcel = at_once._incoming.receive_nowait()
            return parcel
        except trio.WouldBlock:
            pass
        try:
            return await super().receive()
        except trio.EndOfChannel:
            await trio.sleep_forever()
            raise


class EndsWithNothing(Over):
    async def receive(self) -> Parcel:
        try:
            return await super().receive()
        except trio.EndOfChannel:
            return b"", ()


class SendsToNobody(Over):
    def send(self, item: Parcel) -> None:
        try:
            super().send(item)
        except trio.BrokenResourceError:
            let_go(item[1])


class ClosedIsBroken(Over):
    def send(self, item: Parcel) -> None:
        try:
            super().send(item)
        except trio.ClosedResourceError as error:
            raise trio.BrokenResourceError from error


class ClosesOnce(Over):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True
        super().close()


class LosesUndelivered(Over):
    lost: Any = ()

    def undelivered(self) -> Sequence[Parcel]:
        self.lost = self.lost or super().undelivered()
        return []


#: the defect -> words of the rule that it breaks
DEFECTS: dict[type[Over], str] = {
    Reorders: "in the order",
    Cuts: "arrives whole",
    DropsEmpty: "arrives whole",
    Echoes: "directions are apart",
    Impatient: "waits for a message",
    LosesCancelled: "that is cancelled",
    LosesDescriptors: "descriptors arrive with their message",
    TurnsDescriptors: "in their order",
    CopiesMemory: "of the same memory",
    KeepsMemory: "the receiver holds it",
    DropsLastWords: "before a close arrives",
    NeverEnds: "then EndOfChannel",
    NeverWakes: "wakes who receives",
    EndsWithNothing: "then EndOfChannel",
    SendsToNobody: "BrokenResourceError",
    ClosedIsBroken: "ClosedResourceError",
    ClosesOnce: "closed twice",
    LosesUndelivered: "in `undelivered`",
}


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
async def test_defect_breaks_its_rule(defect: type[Over], autojump_clock: trio.testing.MockClock) -> None:
    made: list[Over] = []

    def make(port: Pieces) -> Over:
        made.append(defect(port))
        return made[-1]

    with pytest.raises(AssertionError) as broken:
        await check_link(over(make))
    assert DEFECTS[defect] in str(broken.value), str(broken.value)
    for port in made:
        for _, fds in port.port.undelivered():
            let_go(fds)
        for _, fds in getattr(port, "lost", ()):
            let_go(fds)


def test_every_rule_is_broken_by_a_defect() -> None:
    assert [rule.says for rule in _RULES if not any(words in rule.says for words in DEFECTS.values())] == []


async def test_descriptors_cross_the_socket_of_isolated_parties(autojump_clock: trio.testing.MockClock) -> None:
    await check_link(packets)
