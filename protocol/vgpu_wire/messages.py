"""Which structure a message type has, and which answer a request gets."""

from types import MappingProxyType

from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob, RespMapInfo
from vgpu_wire.control import FIRST_RESPONSE, CtrlHdr, CtrlType, HeaderOnly, Unknown
from vgpu_wire.display import (
    GetEdid,
    ResourceFlush,
    RespDisplayInfo,
    RespEdid,
    SetScanout,
    SetScanoutBlob,
    UpdateCursor,
)
from vgpu_wire.layout import Buffer, unread
from vgpu_wire.render import (
    CmdSubmit,
    CtxCreate,
    CtxDestroy,
    CtxResource,
    GetCapset,
    GetCapsetInfo,
    ResourceCreate3D,
    RespCapset,
    RespCapsetInfo,
    TransferHost3D,
)
from vgpu_wire.resource import (
    ResourceAssignUuid,
    ResourceAttachBacking,
    ResourceCreate2D,
    ResourceDetachBacking,
    ResourceUnref,
    RespResourceUuid,
    TransferToHost2D,
)

#: message type -> its structure, of requests and responses alike (their numbers do not overlap)
MESSAGES: MappingProxyType[int, type[CtrlHdr]] = MappingProxyType(
    {
        CtrlType.GET_DISPLAY_INFO: HeaderOnly,
        CtrlType.RESOURCE_CREATE_2D: ResourceCreate2D,
        CtrlType.RESOURCE_UNREF: ResourceUnref,
        CtrlType.SET_SCANOUT: SetScanout,
        CtrlType.RESOURCE_FLUSH: ResourceFlush,
        CtrlType.TRANSFER_TO_HOST_2D: TransferToHost2D,
        CtrlType.RESOURCE_ATTACH_BACKING: ResourceAttachBacking,
        CtrlType.RESOURCE_DETACH_BACKING: ResourceDetachBacking,
        CtrlType.GET_CAPSET_INFO: GetCapsetInfo,
        CtrlType.GET_CAPSET: GetCapset,
        CtrlType.GET_EDID: GetEdid,
        CtrlType.RESOURCE_ASSIGN_UUID: ResourceAssignUuid,
        CtrlType.RESOURCE_CREATE_BLOB: ResourceCreateBlob,
        CtrlType.SET_SCANOUT_BLOB: SetScanoutBlob,
        CtrlType.CTX_CREATE: CtxCreate,
        CtrlType.CTX_DESTROY: CtxDestroy,
        CtrlType.CTX_ATTACH_RESOURCE: CtxResource,
        CtrlType.CTX_DETACH_RESOURCE: CtxResource,
        CtrlType.RESOURCE_CREATE_3D: ResourceCreate3D,
        CtrlType.TRANSFER_TO_HOST_3D: TransferHost3D,
        CtrlType.TRANSFER_FROM_HOST_3D: TransferHost3D,
        CtrlType.SUBMIT_3D: CmdSubmit,
        CtrlType.RESOURCE_MAP_BLOB: ResourceMapBlob,
        CtrlType.RESOURCE_UNMAP_BLOB: ResourceUnmapBlob,
        CtrlType.UPDATE_CURSOR: UpdateCursor,
        CtrlType.MOVE_CURSOR: UpdateCursor,
        CtrlType.RESP_OK_NODATA: HeaderOnly,
        CtrlType.RESP_OK_DISPLAY_INFO: RespDisplayInfo,
        CtrlType.RESP_OK_CAPSET_INFO: RespCapsetInfo,
        CtrlType.RESP_OK_CAPSET: RespCapset,
        CtrlType.RESP_OK_EDID: RespEdid,
        CtrlType.RESP_OK_RESOURCE_UUID: RespResourceUuid,
        CtrlType.RESP_OK_MAP_INFO: RespMapInfo,
        CtrlType.RESP_ERR_UNSPEC: HeaderOnly,
        CtrlType.RESP_ERR_OUT_OF_MEMORY: HeaderOnly,
        CtrlType.RESP_ERR_INVALID_SCANOUT_ID: HeaderOnly,
        CtrlType.RESP_ERR_INVALID_RESOURCE_ID: HeaderOnly,
        CtrlType.RESP_ERR_INVALID_CONTEXT_ID: HeaderOnly,
        CtrlType.RESP_ERR_INVALID_PARAMETER: HeaderOnly,
    }
)

#: request type -> the type of its success response, where that is not RESP_OK_NODATA
OK_RESPONSE: MappingProxyType[int, CtrlType] = MappingProxyType(
    {
        CtrlType.GET_DISPLAY_INFO: CtrlType.RESP_OK_DISPLAY_INFO,
        CtrlType.GET_CAPSET_INFO: CtrlType.RESP_OK_CAPSET_INFO,
        CtrlType.GET_CAPSET: CtrlType.RESP_OK_CAPSET,
        CtrlType.GET_EDID: CtrlType.RESP_OK_EDID,
        CtrlType.RESOURCE_ASSIGN_UUID: CtrlType.RESP_OK_RESOURCE_UUID,
        CtrlType.RESOURCE_MAP_BLOB: CtrlType.RESP_OK_MAP_INFO,
    }
)

_STRUCTURE = {int(number): cls for number, cls in MESSAGES.items()}
_NAMES = {int(number): number.name for number in CtrlType}


def parse_message(data: Buffer) -> CtrlHdr:
    """The message in exactly these bytes; an unknown type is an Unknown. Raises WireError with path and offset."""
    if len(data) < CtrlHdr.layout.size:
        raise unread(CtrlHdr, data)
    return _STRUCTURE.get(int.from_bytes(data[:4], "little"), Unknown).parse(data)


def type_name(number: int) -> str:
    """``RESOURCE_MAP_BLOB`` for 0x208, ``RESP_OK_MAP_INFO`` for 0x1106; of an unknown number the number in hex."""
    return _NAMES.get(number) or f"0x{number:04x}"


def is_response(number: int) -> bool:
    return number >= FIRST_RESPONSE
