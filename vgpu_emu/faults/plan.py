"""Fault plans: a list of records, each a thing that goes wrong when a certain message crosses a link.

A record's repr can be pasted into a test; the same records are ``[[fault]]`` tables of a scenario. `docs/faults.md` has
them all.
"""

from difflib import get_close_matches
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from vgpu_emu.trace.log import CONTROLQ, CURSORQ, FENCES, RENDERER
from vgpu_wire.control import CtrlType
from vgpu_wire.messages import is_response, type_name
from vgpu_wire.renderer_link import Op

LinkName = Literal["controlq", "cursorq", "renderer", "fences"]
Exporter = Literal["wc", "cached", "incoherent", "silent", "drm"]
Errno = Literal[
    "EMFILE", "ENFILE", "ENOMEM", "EINTR", "EFAULT", "EINVAL", "EIO", "EACCES", "EAGAIN", "EBADF", "ENODEV", "ENOENT"
]
Call = Literal["memfd_create", "ioctl", "recvmsg", "close", "mmap"]
Count = Annotated[int, Meta(ge=0)]
Size = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
MessageName = Annotated[
    str, Meta(description="RESOURCE_MAP_BLOB, EXPORT_BLOB, SIGNAL ...: one of the link's; if it is empty, any.")
]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]

_COMMANDS = [type_name(number) for number in CtrlType if number and not is_response(number)]
_CURSOR = ["UPDATE_CURSOR", "MOVE_CURSOR"]
#: link -> the messages that a fault on it can wait for
MESSAGES: dict[str, list[str]] = {
    CONTROLQ: [name for name in _COMMANDS if name not in _CURSOR],
    CURSORQ: _CURSOR,
    RENDERER: [op.name for op in Op],
    FENCES: ["SIGNAL"],
}


class Fault(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="fault",
    tag=lambda name: "".join(f"-{char.lower()}" if char.isupper() else char for char in name).lstrip("-"),
    forbid_unknown_fields=True,
    omit_defaults=True,
    repr_omit_defaults=True,
):
    """When it happens: at the (skip + 1)-th of the matching messages, and the `times` - 1 after it.

    message: a command (``RESOURCE_MAP_BLOB``), a question to the host (``EXPORT_BLOB``), or ``SIGNAL`` on fences; by
    default any. answer: the answer to it, not the message itself. Raises ValueError for a message the link has not.
    """

    link: Annotated[LinkName, Meta(description="renderer: what the VMM asks the host; fences: the host's signals.")] = (
        "controlq"
    )
    message: MessageName = ""
    answer: Annotated[bool, Meta(description="The answer to it, not the message itself.")] = False
    skip: Annotated[Count, Meta(description="How many matching messages pass first.")] = 0
    times: Annotated[int, Meta(ge=1, description="How many then suffer.")] = 1

    def __post_init__(self) -> None:
        known = MESSAGES[self.link]
        if self.message and self.message not in known:
            near = get_close_matches(self.message.upper(), known, 1)
            raise ValueError(f"no message {self.message!r} on {self.link}" + (f"; {near[0]}?" if near else ""))
        if self.answer and self.link == FENCES:
            raise ValueError("a signal has no answer")


# -- on any link


class Drop(Fault, frozen=True, kw_only=True):
    """The message never arrives."""


class Duplicate(Fault, frozen=True, kw_only=True):
    """It arrives twice."""


class Reorder(Fault, frozen=True, kw_only=True):
    """It arrives behind the next message of its sender; without a next one, never."""


class Delay(Fault, frozen=True, kw_only=True):
    """It arrives later; what is sent meanwhile overtakes it."""

    seconds: Seconds


class CorruptBit(Fault, frozen=True, kw_only=True):
    """One bit is flipped. bit: counted from the lowest of the first byte, round and round."""

    bit: Count


class Truncate(Fault, frozen=True, kw_only=True):
    """Only the first `size` bytes arrive."""

    size: Size


class ShortenCapacity(Fault, frozen=True, kw_only=True):
    """The request has room for `capacity` bytes of answer, at most. Raises ValueError for what is no request."""

    capacity: Size

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.answer or self.link not in (CONTROLQ, CURSORQ):
            raise ValueError("only a request on a queue has room for an answer")


class StreamFault(Fault, frozen=True, kw_only=True):
    """A fault of the renderer link as a stream of bytes, which it is if the plan has one of these."""

    link: Literal["renderer"] = "renderer"


class SplitWrites(StreamFault, frozen=True, kw_only=True):
    """It arrives in pieces of `size` bytes."""

    size: Annotated[int, Meta(ge=1, le=(1 << 63) - 1)]


class MergeWrites(StreamFault, frozen=True, kw_only=True):
    """It is held back that long, and arrives in one piece with what is written meanwhile."""

    seconds: Seconds


# -- the renderer: on the renderer link whatever the default says


class RendererFault(Fault, frozen=True, kw_only=True):
    """A fault of the host's process."""

    link: Literal["renderer"] = "renderer"


class AnswerFault(RendererFault, frozen=True, kw_only=True):
    """A fault of an answer of the host."""

    answer: Literal[True] = True


class HostDies(RendererFault, frozen=True, kw_only=True):
    """The host's process ends before the message arrives: its links are closed."""


class HostHangs(RendererFault, frozen=True, kw_only=True):
    """The host does nothing for that long; None: for ever."""

    seconds: Seconds | None = None


class Refuse(RendererFault, frozen=True, kw_only=True):
    """The question is not carried out, but answered with this errno."""

    errno: Errno


class LieSize(AnswerFault, frozen=True, kw_only=True):
    """The answer says this many bytes."""

    size: Size


class LieAttribute(AnswerFault, frozen=True, kw_only=True):
    """The answer to IOCTL or GET_MAP_INFO has this number for the attribute, modulo 2**64."""

    value: int
    message: MessageName = "IOCTL"


class ChangeAttribute(RendererFault, frozen=True, kw_only=True):
    """From now on, every buffer that is exported is another exporter's."""

    exporter: Exporter


class ReadOnlyFd(AnswerFault, frozen=True, kw_only=True):
    """The descriptor in the answer cannot be written through."""

    message: MessageName = "EXPORT_BLOB"


class ShortFd(AnswerFault, frozen=True, kw_only=True):
    """There are only `size` bytes behind the descriptor in the answer."""

    size: Size
    message: MessageName = "EXPORT_BLOB"


class ZeroPages(AnswerFault, frozen=True, kw_only=True):
    """The descriptor in the answer is of other memory: it has the right size, can be mapped, and reads as zeros."""

    message: MessageName = "EXPORT_BLOB"


class ExtraFd(AnswerFault, frozen=True, kw_only=True):
    """One more descriptor comes with the answer."""


class MissingFd(AnswerFault, frozen=True, kw_only=True):
    """The answer comes without its descriptors."""

    message: MessageName = "EXPORT_BLOB"


# -- below and around


class CallFails(RendererFault, frozen=True, kw_only=True):
    """The next system call of this kind, after the message, fails. memfd_create: the renderer's memory; recvmsg: the
    VMM's table takes no descriptor; ioctl, close: the VMM's; mmap: a blob into the region."""

    call: Call
    errno: Errno


class ClockJumps(Fault, frozen=True, kw_only=True):
    """Time jumps ahead. Only in a simulation."""

    seconds: Seconds


class VmmRestarts(Fault, frozen=True, kw_only=True):
    """The VMM is stopped when it has carried out what it is at, and another goes on from its snapshot."""


class DeviceResets(Fault, frozen=True, kw_only=True):
    """The driver is unbound, the device reset, and another driver bound, which still has to probe."""


AnyFault = (
    Drop
    | Duplicate
    | Reorder
    | Delay
    | CorruptBit
    | Truncate
    | ShortenCapacity
    | SplitWrites
    | MergeWrites
    | HostDies
    | HostHangs
    | Refuse
    | LieSize
    | LieAttribute
    | ChangeAttribute
    | ReadOnlyFd
    | ShortFd
    | ZeroPages
    | ExtraFd
    | MissingFd
    | CallFails
    | ClockJumps
    | VmmRestarts
    | DeviceResets
)
FAULTS: tuple[type[Fault], ...] = get_args(AnyFault)


def plan_from_toml(tables: object) -> list[Fault]:
    """The plan in ``[[fault]]`` tables. Raises msgspec.ValidationError, with the path."""
    return list(msgspec.convert(tables, type=list[AnyFault]))
