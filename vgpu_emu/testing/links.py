"""Checks of a link: a pair of ports that carry bytes, with descriptors beside them (vgpu_emu.link.channel.Port)."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import trio

from vgpu_emu.ids import Fd
from vgpu_emu.link.channel import Parcel
from vgpu_emu.memory import PAGE_SIZE, Memory, PassedFd, let_go
from vgpu_emu.shell import sole
from vgpu_emu.testing.rules import Rule, Trial, fail, unless

#: seconds after which a message that was sent is not coming; of a test in virtual time they take none
_PATIENCE = 5.0
#: bytes of a RESOURCE_CREATE_BLOB with 16,384 memory entries, the longest request that Linux sends
_LONG = 56 + 16384 * 16


class LinkPort(Protocol):
    """A port that can be checked: also what it has not delivered can be taken back, so that no descriptor is lost."""

    def send(self, item: Parcel) -> None: ...

    async def receive(self) -> Parcel: ...

    def undelivered(self) -> Sequence[Parcel]:
        """What was sent to this port and not received; its descriptors are the caller's."""
        ...

    def close(self) -> None: ...


class Link(NamedTuple):
    """Each the other's far end."""

    here: LinkPort
    there: LinkPort


async def check_link(make: Callable[[], Awaitable[tuple[LinkPort, LinkPort]]]) -> None:
    """Check a link, inside of trio; `make` gives a new pair each time, and both ports are closed when it is done with.

    In virtual time (a MockClock) a message that does not come costs no time. Raises AssertionError with a line for each
    rule that does not hold: its source, and what was seen.
    """
    trial = Trial("link")
    for rule in _RULES:
        for turned in (False, True):
            ports = await make()
            await _judge(trial, rule, Link(*reversed(ports)) if turned else Link(*ports))
    trial.end()


async def _judge(trial: Trial, rule: Rule[Awaitable[None]], link: Link) -> None:
    try:
        with trial.of(rule):
            await _in_words(rule.holds(link))
    finally:
        for port in link:
            with suppress(Exception):
                port.close()
        for port in link:
            with suppress(Exception):
                for _, fds in port.undelivered():
                    let_go(fds)


async def _in_words(tried: Awaitable[None]) -> None:
    """What is raised in a nursery, without its group."""
    try:
        await tried
    except ExceptionGroup as group:
        raise sole(group) from group


async def _received(port: LinkPort, what: str = "a message that was sent") -> Parcel:
    try:
        with trio.fail_after(_PATIENCE):
            return await port.receive()
    except trio.TooSlowError:
        fail(f"{what} does not come")


async def _in_order(link: Link) -> None:
    """16: a link that tells its sender to wait for more than a few would be of no use for kicks."""
    for number in range(16):
        link.here.send((bytes([number]), ()))
    arrived = [(await _received(link.there))[0] for _ in range(16)]
    unless(arrived == [bytes([number]) for number in range(16)], f"0 to 15 came as {b''.join(arrived).hex(' ')}")


async def _whole(link: Link) -> None:
    sent = [b"", b"1", bytes(40), bytes(range(256)) * 64, bytes(_LONG), b"last"]
    for data in sent:
        link.here.send((data, ()))
        came, _ = await _received(link.there, f"a message of {len(data)} bytes")
        unless(bytes(came) == data, f"{len(data)} bytes were sent and {len(came)}, or others, received")


async def _both_ways(link: Link) -> None:
    link.here.send((b"forth", ()))
    link.there.send((b"back", ()))
    unless((await _received(link.here))[0] == b"back", "the far end received its own message")
    unless((await _received(link.there))[0] == b"forth", "the near end's message was taken for another")


async def _waits(link: Link) -> None:
    """A receive that waits ends with the message, and not before."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_send_later, link.here)
        came, _ = await _received(link.there)
        unless(came == b"late", f"{came!r} came, and b'late' was sent")


async def _send_later(port: LinkPort) -> None:
    await trio.sleep(0.001)
    port.send((b"late", ()))


async def _cancelled(link: Link) -> None:
    with trio.move_on_after(0.001):
        await link.there.receive()
    link.here.send((b"after", ()))
    unless((await _received(link.there))[0] == b"after", "another message came")


def _passed(*texts: bytes) -> tuple[PassedFd, ...]:
    """Descriptors of new memory, which starts with these bytes."""
    fds = []
    for number, text in enumerate(texts):
        fds.append(PassedFd(Fd(number + 3), Memory.memfd(PAGE_SIZE, "vgpu-emu check")))
        fds[-1].memory.write(0, text)
    return tuple(fds)


async def _beside(link: Link) -> None:
    link.here.send((b"none", ()))
    link.here.send((b"two", _passed(b"first", b"second")))
    link.here.send((b"one", _passed(b"third")))
    link.here.send((b"none", ()))
    for data, texts in ((b"none", []), (b"two", [b"first", b"second"]), (b"one", [b"third"]), (b"none", [])):
        came, fds = await _received(link.there)
        held = [passed.memory.read(0, 6).rstrip(b"\0") for passed in fds]
        let_go(fds)
        unless(came == data, f"{came!r} came for {data!r}")
        unless(held == texts, f"beside {data!r} came descriptors of {held}, not of {texts}")


async def _shared(link: Link) -> None:
    """It is the same memory, not a copy, and it is the receiver's to hold."""
    (passed,) = _passed(b"first")
    kept = passed.memory.hold()
    try:
        link.here.send((b"memory", (passed,)))
        _, (arrived,) = await _received(link.there)
        kept.write(0, b"later")
        seen = arrived.memory.read(0, 5)
        let_go((arrived,))
        unless(seen == b"later", f"what the sender wrote then is not there, but {seen!r}")
    finally:
        holders = kept.holders
        kept.release()
    unless(holders == 1, f"the memory has {holders - 1} more holders than the one who sent it has kept")


async def _drains(link: Link) -> None:
    link.here.send((b"last words", ()))
    link.here.close()
    unless((await _received(link.there, "what was sent before the close"))[0] == b"last words", "something else came")
    await _ended(link.there)


async def _ended(port: LinkPort) -> None:
    try:
        data, _ = await _received(port, "the end")
    except trio.EndOfChannel:
        return
    fail(f"{data!r} came after the end")


async def _wakes(link: Link) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_close_later, link.here)
        await _ended(link.there)


async def _close_later(port: LinkPort) -> None:
    await trio.sleep(0.001)
    port.close()


async def _broken(link: Link) -> None:
    link.there.close()
    with suppress(trio.BrokenResourceError):
        link.here.send((b"to nobody", ()))
        fail("it was taken")


async def _closed(link: Link) -> None:
    link.here.close()
    link.here.close()
    with suppress(trio.ClosedResourceError):
        link.here.send((b"after the end", ()))
        fail("a closed port took a message")
    with suppress(trio.ClosedResourceError):
        await _received(link.here, "the error of a closed port")
        fail("a closed port received")


async def _nothing_lost(link: Link) -> None:
    """Descriptors that nobody received can be let go of."""
    (passed,) = _passed(b"lost")
    kept = passed.memory.hold()
    link.here.send((b"never received", (passed,)))
    link.here.close()
    link.there.close()
    for port in link:
        for _, fds in port.undelivered():
            let_go(fds)
    holders = kept.holders
    kept.release()
    unless(holders == 1, f"its memory has {holders - 1} holders more")


_PORT = "vgpu_emu.link.channel.Port"
_RIGHTS = "unix(7), SCM_RIGHTS"
_RULES: list[Rule[Awaitable[None]]] = [
    Rule("messages arrive in the order in which they were sent, and sending does not wait", _PORT, _in_order),
    Rule("a message arrives whole, by itself, and unchanged", _PORT, _whole),
    Rule("the two directions are apart", _PORT, _both_ways),
    Rule("who receives waits for a message", _PORT, _waits),
    Rule("a receive that is cancelled loses no message", "trio, Checkpoints and cancellation", _cancelled),
    Rule("descriptors arrive with their message, in their order", _RIGHTS, _beside),
    Rule("a descriptor is of the same memory, and the receiver holds it", "vgpu_emu.memory.PassedFd", _shared),
    Rule("what was sent before a close arrives, then EndOfChannel", "trio.abc.ReceiveChannel", _drains),
    Rule("a close wakes who receives at the other end: EndOfChannel", "trio.abc.ReceiveChannel", _wakes),
    Rule("to send to a closed end is BrokenResourceError", "trio.abc.SendChannel", _broken),
    Rule("a port may be closed twice, and is then ClosedResourceError", "trio.abc.AsyncResource", _closed),
    Rule("what nobody received is in `undelivered`, with its descriptors", _RIGHTS, _nothing_lost),
]
