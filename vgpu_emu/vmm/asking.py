"""How the device asks the renderer: it yields a typed question and is sent the reply.

Whoever drives the generator carries the bytes, so that a test can do it without an event loop, and a slow, lying or
dead renderer is no special case. Nothing that comes back is trusted.
"""

from collections.abc import Generator
from errno import EEXIST, EINVAL, EMFILE, ENFILE, ENOENT, ENOMEM, EPROTO
from typing import TypeVar

import msgspec

from vgpu_emu.memory import PassedFd, let_go
from vgpu_emu.vmm.rules import Rule
from vgpu_wire.errors import WireError
from vgpu_wire.renderer_link import Answer, Close, Question


class Reply(msgspec.Struct, frozen=True):
    """The renderer's answer, and the descriptors that came with it, which are now the VMM's."""

    answer: Answer
    fds: tuple[PassedFd, ...] = ()


T = TypeVar("T")
Steps = Generator[Question, Reply, T]


def parse_reply(data: bytes, fds: tuple[PassedFd, ...] = ()) -> Reply:
    """The reply in these bytes; of bytes that are none, one that says EPROTO, with the serial that is in its place."""
    try:
        return Reply(Answer.parse(data), fds)
    except WireError:
        return Reply(Answer(errno=EPROTO, serial=int.from_bytes(data[4:8], "little")), fds)


def ask(question: Question) -> Steps[Answer]:
    """The answer alone. Descriptors that nobody asked for are closed."""
    reply = yield question
    if reply.fds:
        yield from close(reply.fds)
    return reply.answer


def close(fds: tuple[PassedFd, ...]) -> Steps[None]:
    """Let go of descriptors: the memory here, the number in the host kernel's table."""
    # first all of the memory: whoever drives this may stop at any question
    let_go(fds)
    for passed in fds:
        reply = yield Close(fd=passed.fd)
        let_go(reply.fds)


#: errno of a refused call -> the rule that this breaks; any other: RENDERER_WORKS
ERRNO_RULES: dict[int, Rule] = {
    EINVAL: Rule.RENDERER_ACCEPTS,
    ENOENT: Rule.RENDERER_ACCEPTS,
    EEXIST: Rule.RENDERER_ACCEPTS,
    ENOMEM: Rule.RENDERER_HAS_ROOM,
    EMFILE: Rule.RENDERER_HAS_ROOM,
    ENFILE: Rule.RENDERER_HAS_ROOM,
}
