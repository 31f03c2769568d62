"""What the specification asks of every device, as conversations: requests are yielded, and answers are sent in."""

from collections.abc import Generator
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from vgpu_emu.drive.asking import ROOM, queue_of
from vgpu_emu.drive.requests import FENCE, FULL, IMAGE_BYTES, attach, create_2d, cursor, flush, scanout, transfer
from vgpu_emu.testing.rules import Rule, fail, unless
from vgpu_wire.control import FIRST_ERROR, CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ
from vgpu_wire.display import GetEdid, Rect, RespDisplayInfo, SetScanout
from vgpu_wire.layout import Record
from vgpu_wire.messages import type_name
from vgpu_wire.resource import ResourceDetachBacking, ResourceUnref


class Request(NamedTuple):
    """queue: 0 control, 1 cursor. capacity: device-writable bytes."""

    data: bytes
    queue: int
    capacity: int


Conversation = Generator[Request, bytes | None, None]
_Asking = Generator[Request, bytes | None, CtrlHdr]
_HEADER = CtrlHdr.layout.size
_NOBODY = 77
_OUTSIDE = Rect(x=60, width=64, height=64)
_DISPLAYS = HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)
#: members of requests that are wrong somewhere
_WORDS = (0, 1, 2, 63, 64, 65, IMAGE_BYTES, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_FENCE_ID = 0x1_2345_6789


def _say(data: bytes, capacity: int = ROOM) -> Generator[Request, bytes | None, bytes]:
    written = yield Request(data, queue_of(data), capacity)
    if written is None:
        fail(f"{_name(data)} was not answered")
    unless(len(written) <= capacity, f"{_name(data)} has room for {capacity} bytes, and {len(written)} were written")
    return written


def _name(data: bytes) -> str:
    if len(data) < _HEADER:
        return f"a request of {len(data)} bytes"
    return type_name(int.from_bytes(data[:4], "little"))


def _ask(request: Record) -> _Asking:
    """The header of the answer."""
    data = request.build()
    written = yield from _say(data)
    unless(len(written) >= _HEADER, f"the answer to {_name(data)} has {len(written)} bytes, less than a header")
    header = CtrlHdr.parse(written[:_HEADER])
    unless(0x1100 <= header.type < 0x1300, f"the answer to {_name(data)} has type {header.type:#x}, of no response")
    return header


def _done(*requests: Record) -> Conversation:
    """Requests that succeed with RESP_OK_NODATA."""
    for request in requests:
        answer = yield from _ask(request)
        right = answer.type == CtrlType.RESP_OK_NODATA
        unless(right, f"{_name(request.build())} was answered {type_name(answer.type)}")


def _refused(request: Record, otherwise: str) -> Conversation:
    answer = yield from _ask(request)
    unless(answer.type >= FIRST_ERROR, f"{otherwise}: {type_name(answer.type)}")


def _lives() -> Conversation:
    answer = yield from _ask(_DISPLAYS)
    is_right = answer.type == CtrlType.RESP_OK_DISPLAY_INFO
    unless(is_right, f"then GET_DISPLAY_INFO was answered {type_name(answer.type)}")


def _backed() -> Conversation:
    return _done(create_2d(1), attach(1, (0, IMAGE_BYTES)))


# -- the rules


def _display_info() -> Conversation:
    yield from _lives()
    written = yield from _say(_DISPLAYS.build())
    unless(len(written) == RespDisplayInfo.layout.size, f"{len(written)} bytes")


def _frame() -> Conversation:
    """As spec and drivers have it: 5.7.6.1, "create a framebuffer and configure scanout"."""
    yield from _backed()
    yield from _done(scanout(), transfer(), flush(), SetScanout(r=Rect()))
    yield from _done(ResourceDetachBacking(resource_id=1), ResourceUnref(resource_id=1))


def _fences() -> Conversation:
    for unfenced in (_DISPLAYS, ResourceUnref(resource_id=_NOBODY)):
        answer = yield from _ask(replace(unfenced, flags=FENCE, fence_id=_FENCE_ID))
        seen = f"{type_name(unfenced.type)}: flags {answer.flags:#x}, fence_id {answer.fence_id:#x}"
        unless(answer.flags & FENCE and answer.fence_id == _FENCE_ID, f"asked with fence_id {_FENCE_ID:#x}, {seen}")


def _no_fences() -> Conversation:
    answer = yield from _ask(_DISPLAYS)
    unless(not answer.flags & FENCE, "the answer to a request without a fence has FLAG_FENCE")


def _unknown_command() -> Conversation:
    for number in (0x1FF, 0x2FF, CtrlType.RESP_OK_NODATA.value):
        yield from _refused(HeaderOnly(type=number), f"command {number:#x}")
    yield from _lives()


def _unknown_resource() -> Conversation:
    yield from _refused(ResourceUnref(resource_id=_NOBODY), "RESOURCE_UNREF")
    yield from _refused(attach(_NOBODY, (0, IMAGE_BYTES)), "RESOURCE_ATTACH_BACKING")
    yield from _refused(transfer(_NOBODY), "TRANSFER_TO_HOST_2D")
    yield from _refused(scanout(resource_id=_NOBODY), "SET_SCANOUT")
    yield from _refused(flush(_NOBODY), "RESOURCE_FLUSH")


def _ids_once() -> Conversation:
    yield from _refused(create_2d(0), "RESOURCE_CREATE_2D of id 0")
    yield from _done(create_2d(1))
    yield from _refused(create_2d(1), "RESOURCE_CREATE_2D of an id that is taken")
    yield from _done(ResourceUnref(resource_id=1))
    yield from _refused(ResourceUnref(resource_id=1), "a second RESOURCE_UNREF")
    yield from _done(create_2d(1))


def _unknown_scanout() -> Conversation:
    yield from _backed()
    yield from _refused(scanout(16), "SET_SCANOUT of scanout 16")


def _unknown_edid() -> Conversation:
    """A device without EDIDs refuses it, too."""
    yield from _refused(GetEdid(scanout=16), "GET_EDID of scanout 16")


def _outside() -> Conversation:
    yield from _backed()
    yield from _refused(scanout(r=_OUTSIDE), "SET_SCANOUT")
    yield from _refused(transfer(r=_OUTSIDE), "TRANSFER_TO_HOST_2D")
    yield from _refused(flush(r=_OUTSIDE), "RESOURCE_FLUSH")


def _bad_format() -> Conversation:
    yield from _refused(create_2d(1, pixel_format=999), "RESOURCE_CREATE_2D of format 999")
    yield from _done(create_2d(1))


def _capacity() -> Conversation:
    """0 bytes are less than the shortest answer."""
    for capacity in (0, 8, _HEADER):
        yield from _say(_DISPLAYS.build(), capacity)
    yield from _lives()


def _cut() -> Conversation:
    whole = create_2d(1).build()
    for size in range(len(whole)):
        written = yield Request(whole[:size], CONTROLQ, ROOM)
        kind = int.from_bytes((written or b"")[:4], "little")
        unless(kind != CtrlType.RESP_OK_NODATA, f"{size} of {len(whole)} bytes of RESOURCE_CREATE_2D were carried out")
    yield from _done(create_2d(1))


def _cursor() -> Conversation:
    """What is written there, if anything, no driver reads."""
    yield from _backed()
    for request in (cursor(0), cursor(0, move=True), cursor(_NOBODY), cursor(scanout_id=16)):
        yield from _say(request.build(), 0)
    yield from _lives()


def _noise() -> Conversation:
    """Requests that make sense up to a point, always the same ones."""
    random = Random(1)
    shapes = [create_2d(1), attach(1, (0, IMAGE_BYTES)), transfer(), flush(), scanout(), ResourceUnref(resource_id=1)]
    for _ in range(300):
        data = bytearray(random.choice(shapes).build())
        for _ in range(random.randrange(4)):
            place = random.randrange(_HEADER, len(data), 4)
            data[place : place + 4] = random.choice(_WORDS).to_bytes(4, "little")
        yield from _say(bytes(data))
    yield from _lives()


def _images_apart() -> Conversation:
    yield from _done(create_2d(1), create_2d(2), ResourceUnref(resource_id=1))
    yield from _done(attach(2, (0, IMAGE_BYTES)), scanout(resource_id=2), flush(2))
    yield from _refused(flush(1), "RESOURCE_FLUSH of the resource that is gone")


def _full_size() -> Conversation:
    """The whole of an image is inside of it."""
    yield from _backed()
    corner = Rect(x=FULL.width - 1, y=FULL.height - 1, width=1, height=1)
    yield from _done(transfer(r=FULL), transfer(r=corner, offset=IMAGE_BYTES - 4), flush(r=corner))


_RESPONSE = "virtio 1.4, 5.7.6.7"
_COMMANDS = "virtio 1.4, 5.7.6.8"
RULES: list[Rule[Conversation]] = [
    Rule("GET_DISPLAY_INFO is answered with 16 displays", _COMMANDS, _display_info),
    Rule("an image can be made, shown, drawn and ended", "virtio 1.4, 5.7.6.1", _frame),
    Rule("the answer to a fenced request has its fence, error or not", _RESPONSE, _fences),
    Rule("no other answer has one", _RESPONSE, _no_fences),
    Rule("an unknown command is refused", _RESPONSE, _unknown_command),
    Rule("a resource that there is not is refused", _COMMANDS, _unknown_resource),
    Rule("a resource id is used once at a time, and is not 0", _COMMANDS, _ids_once),
    Rule("a scanout that there is not is refused", _COMMANDS, _unknown_scanout),
    Rule("a scanout that there is not has no EDID", _COMMANDS, _unknown_edid),
    Rule("a rectangle that sticks out of its image is refused", _COMMANDS, _outside),
    Rule("one that fits is not", _COMMANDS, _full_size),
    Rule("an unknown format is refused, and nothing made", _COMMANDS, _bad_format),
    Rule("no more is written than there is room for", "virtio 1.4, 2.7.4", _capacity),
    Rule("a request that ends early is not carried out", _COMMANDS, _cut),
    Rule("whatever is on the cursorq, the device lives", "virtio 1.4, 5.7.6.10", _cursor),
    Rule("whatever is asked is answered", "virtio 1.4, 5.7.6", _noise),
    Rule("resources do not depend on each other", _COMMANDS, _images_apart),
]
