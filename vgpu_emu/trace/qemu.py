"""A log as the lines that QEMU's ``-trace 'virtio_gpu*'`` would have written, so that old habits with grep work.

Names and arguments are those of hw/display/trace-events, where there is no event for GET_CAPSET_INFO, GET_CAPSET and
RESOURCE_ASSIGN_UUID, and none has the map_info. QEMU's pointers are (nil) here. Fences have events in QEMU's GL device
only: they are written for a log in which there is a 3D command.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from vgpu_emu.trace.log import QUEUE_NUMBERS, Event, Message, is_question
from vgpu_wire.control import FIRST_ERROR, CtrlFlag, CtrlHdr, CtrlType
from vgpu_wire.errors import WireError
from vgpu_wire.messages import parse_message

_FENCE = CtrlFlag.FENCE.value
_3D = range(CtrlType.CTX_CREATE, CtrlType.RESOURCE_UNMAP_BLOB + 1)
_MAPPINGS = {CtrlType.RESOURCE_MAP_BLOB, CtrlType.RESOURCE_UNMAP_BLOB}
_UNMAPPED = "mr (nil), finish_unmapping 1"


def _d(value: int, bits: int = 32) -> str:
    """C's %d of an unsigned number: QEMU's formats are signed."""
    return str(value - (1 << bits) if value >> (bits - 1) else value)


def _resource(m: Any) -> str:
    return f"res 0x{m.resource_id:x}"


def _context_resource(m: Any) -> str:
    return f"ctx 0x{m.ctx_id:x}, res 0x{m.resource_id:x}"


def _scanout(m: Any) -> str:
    return f"id {_d(m.scanout_id)}, res 0x{m.resource_id:x}, {_rect(m.r)}"


def _rect(r: Any) -> str:
    return f"w {_d(r.width)}, h {_d(r.height)}, x {_d(r.x)}, y {_d(r.y)}"


def _image(m: Any) -> str:
    return f"res 0x{m.resource_id:x}, fmt 0x{m.format:x}, w {_d(m.width)}, h {_d(m.height)}"


def _name(m: Any) -> str:
    return bytes(m.debug_name).partition(b"\0")[0].decode("latin-1").encode("unicode_escape").decode()


def _cursor(m: Any) -> str:
    kind = "move" if m.type == CtrlType.MOVE_CURSOR else "update"
    return f"scanout {_d(m.pos.scanout_id)}, x {_d(m.pos.x)}, y {_d(m.pos.y)}, {kind}, res 0x{m.resource_id:x}"


#: command -> QEMU's event and what it says of the message
EVENTS: dict[int, tuple[str, Callable[[Any], str]]] = {
    CtrlType.GET_DISPLAY_INFO: ("virtio_gpu_cmd_get_display_info", lambda _m: ""),
    CtrlType.GET_EDID: ("virtio_gpu_cmd_get_edid", lambda m: f"scanout {_d(m.scanout)}"),
    CtrlType.SET_SCANOUT: ("virtio_gpu_cmd_set_scanout", _scanout),
    CtrlType.SET_SCANOUT_BLOB: ("virtio_gpu_cmd_set_scanout_blob", _scanout),
    CtrlType.RESOURCE_CREATE_2D: ("virtio_gpu_cmd_res_create_2d", _image),
    CtrlType.RESOURCE_CREATE_3D: ("virtio_gpu_cmd_res_create_3d", lambda m: f"{_image(m)}, d {_d(m.depth)}"),
    CtrlType.RESOURCE_CREATE_BLOB: (
        "virtio_gpu_cmd_res_create_blob",
        lambda m: f"{_resource(m)}, size {_d(m.size, 64)}",
    ),
    CtrlType.RESOURCE_MAP_BLOB: ("virtio_gpu_cmd_res_map_blob", lambda m: f"{_resource(m)}, vmr (nil), mr (nil)"),
    CtrlType.RESOURCE_UNMAP_BLOB: ("virtio_gpu_cmd_res_unmap_blob", lambda m: f"{_resource(m)}, {_UNMAPPED}"),
    CtrlType.RESOURCE_UNREF: ("virtio_gpu_cmd_res_unref", _resource),
    CtrlType.RESOURCE_ATTACH_BACKING: ("virtio_gpu_cmd_res_back_attach", _resource),
    CtrlType.RESOURCE_DETACH_BACKING: ("virtio_gpu_cmd_res_back_detach", _resource),
    CtrlType.TRANSFER_TO_HOST_2D: ("virtio_gpu_cmd_res_xfer_toh_2d", _resource),
    CtrlType.TRANSFER_TO_HOST_3D: ("virtio_gpu_cmd_res_xfer_toh_3d", _resource),
    CtrlType.TRANSFER_FROM_HOST_3D: ("virtio_gpu_cmd_res_xfer_fromh_3d", _resource),
    CtrlType.RESOURCE_FLUSH: ("virtio_gpu_cmd_res_flush", lambda m: f"{_resource(m)}, {_rect(m.r)}"),
    CtrlType.CTX_CREATE: ("virtio_gpu_cmd_ctx_create", lambda m: f"ctx 0x{m.ctx_id:x}, name {_name(m)}"),
    CtrlType.CTX_DESTROY: ("virtio_gpu_cmd_ctx_destroy", lambda m: f"ctx 0x{m.ctx_id:x}"),
    CtrlType.CTX_ATTACH_RESOURCE: ("virtio_gpu_cmd_ctx_res_attach", _context_resource),
    CtrlType.CTX_DETACH_RESOURCE: ("virtio_gpu_cmd_ctx_res_detach", _context_resource),
    CtrlType.SUBMIT_3D: ("virtio_gpu_cmd_ctx_submit", lambda m: f"ctx 0x{m.ctx_id:x}, size {_d(m.size)}"),
    CtrlType.UPDATE_CURSOR: ("virtio_gpu_update_cursor", _cursor),
    CtrlType.MOVE_CURSOR: ("virtio_gpu_update_cursor", _cursor),
}


def qemu_lines(events: Iterable[Event]) -> Iterator[str]:
    """The lines, without their ends. Bytes that are no message have no event, as in QEMU."""
    messages = _messages(events)
    answers, requests = _paired(messages)
    gl = any(record.type in _3D for _, record in messages)
    for index, (event, record) in enumerate(messages):
        request = requests.get(index, record)
        answer = answers.get(index) if is_question(event) else record
        if is_question(event) and record.type in EVENTS and _is_told(record, answer):
            name, arguments = EVENTS[record.type]
            yield f"{name} {arguments(record)}"
        if gl and request.flags & _FENCE and (answer is None or answer.type == CtrlType.RESP_OK_NODATA):
            yield from _fence(request, is_question(event))


def _messages(events: Iterable[Event]) -> list[tuple[Message, CtrlHdr]]:
    """What crossed the virtqueues, as far as it can be read."""
    found = []
    for event in events:
        if isinstance(event, Message) and event.link in QUEUE_NUMBERS:
            with suppress(WireError):
                found.append((event, parse_message(event.data)))
    return found


def _paired(messages: list[tuple[Message, CtrlHdr]]) -> tuple[dict[int, CtrlHdr], dict[int, CtrlHdr]]:
    """The answer to each message that has one, by its place, and the request of each answer."""
    answers, requests = {}, {}
    asked: dict[tuple[str, int], int] = {}
    for index, (event, record) in enumerate(messages):
        chain = (event.link, event.head)
        if is_question(event):
            asked[chain] = index
        elif (question := asked.pop(chain, None)) is not None:
            answers[question], requests[index] = record, messages[question][1]
    return answers, requests


def _is_told(request: CtrlHdr, answer: CtrlHdr | None) -> bool:
    """QEMU tells of mappings when they are made, of everything else before it looks closer."""
    return request.type not in _MAPPINGS or answer is None or answer.type < FIRST_ERROR


def _fence(request: CtrlHdr, made: bool) -> Iterator[str]:
    if made:
        yield f"virtio_gpu_fence_ctrl fence 0x{request.fence_id:x}, type 0x{request.type:x}"
    else:
        yield f"virtio_gpu_fence_resp fence 0x{request.fence_id:x}"
