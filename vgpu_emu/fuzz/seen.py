"""What was asked of real devices, as captured command streams have it: plausible values of fields."""

from vgpu_wire.control import CtrlType

#: request -> field -> values; ids, padding and headers aside
SEEN: dict[CtrlType, dict[str, tuple[int, ...]]] = {
    CtrlType.CTX_CREATE: {
        "context_init": (0, 4),
        "nlen": (3, 4, 6),
    },
    CtrlType.GET_CAPSET: {
        "capset_id": (4,),
    },
    CtrlType.GET_CAPSET_INFO: {
        "capset_index": (0, 1, 2),
    },
    CtrlType.MOVE_CURSOR: {
        "hot_x": (3,),
        "hot_y": (4,),
        "pos.x": (120, 121, 122, 123, 124),
        "pos.y": (60, 61, 62, 63, 64),
    },
    CtrlType.RESOURCE_ATTACH_BACKING: {
        "nr_entries": (1, 2, 4, 5, 50, 63),
    },
    CtrlType.RESOURCE_CREATE_2D: {
        "format": (1, 2, 999),
        "height": (32, 64, 768),
        "width": (64, 1024),
    },
    CtrlType.RESOURCE_CREATE_3D: {
        "array_size": (1,),
        "bind": (10,),
        "depth": (1,),
        "format": (1,),
        "height": (32,),
        "target": (2,),
        "width": (64,),
    },
    CtrlType.RESOURCE_CREATE_BLOB: {
        "blob_flags": (1, 2, 3, 7),
        "blob_id": (0, 256, 257, 258, 259, 515, 1911),
        "blob_mem": (1, 2, 3),
        "nr_entries": (0, 1, 2, 4, 5, 60),
        "size": (4096, 8192, 16384, 65536, 131072, 262144, 524288, 3145728),
    },
    CtrlType.RESOURCE_FLUSH: {
        "r.height": (64, 768),
        "r.width": (64, 1024),
    },
    CtrlType.RESOURCE_MAP_BLOB: {
        "offset": (0, 4096, 8192, 12288, 131072, 393216),
    },
    CtrlType.SET_SCANOUT: {
        "r.height": (0, 8, 64, 768),
        "r.width": (0, 8, 64, 1024),
        "scanout_id": (0, 99),
    },
    CtrlType.SET_SCANOUT_BLOB: {
        "format": (2,),
        "height": (768,),
        "r.height": (768,),
        "r.width": (1024,),
        "width": (1024,),
    },
    CtrlType.SUBMIT_3D: {
        "size": (16, 32, 64),
    },
    CtrlType.TRANSFER_FROM_HOST_3D: {
        "box.d": (1,),
        "box.h": (32,),
        "box.w": (64,),
    },
    CtrlType.TRANSFER_TO_HOST_2D: {
        "offset": (0, 512),
        "r.height": (20, 64, 768),
        "r.width": (30, 64, 1024),
        "r.x": (0, 1, 60),
        "r.y": (0, 2),
    },
    CtrlType.TRANSFER_TO_HOST_3D: {
        "box.d": (1,),
        "box.h": (20,),
        "box.w": (30,),
        "box.x": (1,),
        "box.y": (2,),
        "offset": (512,),
    },
    CtrlType.UPDATE_CURSOR: {
        "hot_x": (0, 3),
        "hot_y": (0, 4),
        "pos.x": (0, 10, 100),
        "pos.y": (0, 20, 50),
    },
}
