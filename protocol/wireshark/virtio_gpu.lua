-- A dissector for virtio-gpu (virtio 1.4, 5.7) and for vgpu-emu's own link between VMM and renderer.
-- Written by vgpu-emu dissector from the wire definitions: change those, not this.
-- wireshark -X lua_script:virtio_gpu.lua FILE.pcapng, or put it among Wireshark's personal Lua plugins.

local kinds = {}

do
local N = {
    { [0x0] = "UNDEFINED", [0x100] = "GET_DISPLAY_INFO", [0x101] = "RESOURCE_CREATE_2D", [0x102] = "RESOURCE_UNREF", [0x103] = "SET_SCANOUT", [0x104] = "RESOURCE_FLUSH", [0x105] = "TRANSFER_TO_HOST_2D", [0x106] = "RESOURCE_ATTACH_BACKING", [0x107] = "RESOURCE_DETACH_BACKING", [0x108] = "GET_CAPSET_INFO", [0x109] = "GET_CAPSET", [0x10a] = "GET_EDID", [0x10b] = "RESOURCE_ASSIGN_UUID", [0x10c] = "RESOURCE_CREATE_BLOB", [0x10d] = "SET_SCANOUT_BLOB", [0x200] = "CTX_CREATE", [0x201] = "CTX_DESTROY", [0x202] = "CTX_ATTACH_RESOURCE", [0x203] = "CTX_DETACH_RESOURCE", [0x204] = "RESOURCE_CREATE_3D", [0x205] = "TRANSFER_TO_HOST_3D", [0x206] = "TRANSFER_FROM_HOST_3D", [0x207] = "SUBMIT_3D", [0x208] = "RESOURCE_MAP_BLOB", [0x209] = "RESOURCE_UNMAP_BLOB", [0x300] = "UPDATE_CURSOR", [0x301] = "MOVE_CURSOR", [0x1100] = "RESP_OK_NODATA", [0x1101] = "RESP_OK_DISPLAY_INFO", [0x1102] = "RESP_OK_CAPSET_INFO", [0x1103] = "RESP_OK_CAPSET", [0x1104] = "RESP_OK_EDID", [0x1105] = "RESP_OK_RESOURCE_UUID", [0x1106] = "RESP_OK_MAP_INFO", [0x1200] = "RESP_ERR_UNSPEC", [0x1201] = "RESP_ERR_OUT_OF_MEMORY", [0x1202] = "RESP_ERR_INVALID_SCANOUT_ID", [0x1203] = "RESP_ERR_INVALID_RESOURCE_ID", [0x1204] = "RESP_ERR_INVALID_CONTEXT_ID", [0x1205] = "RESP_ERR_INVALID_PARAMETER" },
    { [0x1] = "B8G8R8A8_UNORM", [0x2] = "B8G8R8X8_UNORM", [0x3] = "A8R8G8B8_UNORM", [0x4] = "X8R8G8B8_UNORM", [0x43] = "R8G8B8A8_UNORM", [0x44] = "X8B8G8R8_UNORM", [0x79] = "A8B8G8R8_UNORM", [0x86] = "R8G8B8X8_UNORM" },
    { [0x1] = "VIRGL", [0x2] = "VIRGL2", [0x3] = "GFXSTREAM_VULKAN", [0x4] = "VENUS", [0x5] = "CROSS_DOMAIN", [0x6] = "DRM" },
    { [0x1] = "GUEST", [0x2] = "HOST3D", [0x3] = "HOST3D_GUEST" },
    { [0x0] = "default", [0x1] = "VIRGL", [0x2] = "VIRGL2", [0x3] = "GFXSTREAM_VULKAN", [0x4] = "VENUS", [0x5] = "CROSS_DOMAIN", [0x6] = "DRM" },
    { [0x0] = "NONE", [0x1] = "CACHED", [0x2] = "UNCACHED", [0x3] = "WC" },
}
local F = {
    ProtoField.uint32("virtio_gpu.hdr.type", "type", base.HEX, N[1]),
    ProtoField.bool("virtio_gpu.hdr.flags.fence", "FENCE", 32, nil, 0x1),
    ProtoField.bool("virtio_gpu.hdr.flags.info_ring_idx", "INFO_RING_IDX", 32, nil, 0x2),
    ProtoField.uint32("virtio_gpu.hdr.flags", "flags", base.HEX),
    ProtoField.uint64("virtio_gpu.hdr.fence_id", "fence_id", base.DEC_HEX),
    ProtoField.uint32("virtio_gpu.hdr.ctx_id", "ctx_id", base.DEC),
    ProtoField.uint8("virtio_gpu.hdr.ring_idx", "ring_idx", base.DEC),
    ProtoField.bytes("virtio_gpu.hdr.padding", "padding"),
    ProtoField.none("virtio_gpu.hdr", "hdr"),
    ProtoField.uint32("virtio_gpu.resource_id", "resource_id", base.DEC),
    ProtoField.uint32("virtio_gpu.format", "format", base.HEX, N[2]),
    ProtoField.uint32("virtio_gpu.width", "width", base.DEC),
    ProtoField.uint32("virtio_gpu.height", "height", base.DEC),
    ProtoField.uint32("virtio_gpu.padding", "padding", base.DEC),
    ProtoField.uint32("virtio_gpu.r.x", "x", base.DEC),
    ProtoField.uint32("virtio_gpu.r.y", "y", base.DEC),
    ProtoField.uint32("virtio_gpu.r.width", "width", base.DEC),
    ProtoField.uint32("virtio_gpu.r.height", "height", base.DEC),
    ProtoField.none("virtio_gpu.r", "r"),
    ProtoField.uint32("virtio_gpu.scanout_id", "scanout_id", base.DEC),
    ProtoField.uint64("virtio_gpu.offset", "offset", base.DEC_HEX),
    ProtoField.uint32("virtio_gpu.nr_entries", "nr_entries", base.DEC),
    ProtoField.uint64("virtio_gpu.entries.addr", "addr", base.DEC_HEX),
    ProtoField.uint32("virtio_gpu.entries.length", "length", base.DEC),
    ProtoField.uint32("virtio_gpu.entries.padding", "padding", base.DEC),
    ProtoField.none("virtio_gpu.entries", "entries"),
    ProtoField.uint32("virtio_gpu.capset_index", "capset_index", base.DEC),
    ProtoField.uint32("virtio_gpu.capset_id", "capset_id", base.HEX, N[3]),
    ProtoField.uint32("virtio_gpu.capset_version", "capset_version", base.DEC),
    ProtoField.uint32("virtio_gpu.scanout", "scanout", base.DEC),
    ProtoField.uint32("virtio_gpu.blob_mem", "blob_mem", base.HEX, N[4]),
    ProtoField.bool("virtio_gpu.blob_flags.use_mappable", "USE_MAPPABLE", 32, nil, 0x1),
    ProtoField.bool("virtio_gpu.blob_flags.use_shareable", "USE_SHAREABLE", 32, nil, 0x2),
    ProtoField.bool("virtio_gpu.blob_flags.use_cross_device", "USE_CROSS_DEVICE", 32, nil, 0x4),
    ProtoField.uint32("virtio_gpu.blob_flags", "blob_flags", base.HEX),
    ProtoField.uint64("virtio_gpu.blob_id", "blob_id", base.DEC_HEX),
    ProtoField.uint64("virtio_gpu.size", "size", base.DEC_HEX),
    ProtoField.uint32("virtio_gpu.strides", "strides", base.DEC),
    ProtoField.uint32("virtio_gpu.offsets", "offsets", base.DEC),
    ProtoField.uint32("virtio_gpu.nlen", "nlen", base.DEC),
    ProtoField.uint32("virtio_gpu.context_init", "context_init", base.HEX, N[5]),
    ProtoField.uint32("virtio_gpu.context_init.value", "context_init", base.HEX, N[5], 0xff),
    ProtoField.bytes("virtio_gpu.debug_name", "debug_name"),
    ProtoField.uint32("virtio_gpu.target", "target", base.DEC),
    ProtoField.uint32("virtio_gpu.format", "format", base.DEC),
    ProtoField.uint32("virtio_gpu.bind", "bind", base.DEC),
    ProtoField.uint32("virtio_gpu.depth", "depth", base.DEC),
    ProtoField.uint32("virtio_gpu.array_size", "array_size", base.DEC),
    ProtoField.uint32("virtio_gpu.last_level", "last_level", base.DEC),
    ProtoField.uint32("virtio_gpu.nr_samples", "nr_samples", base.DEC),
    ProtoField.bool("virtio_gpu.flags.y_0_top", "Y_0_TOP", 32, nil, 0x1),
    ProtoField.uint32("virtio_gpu.flags", "flags", base.HEX),
    ProtoField.uint32("virtio_gpu.box.x", "x", base.DEC),
    ProtoField.uint32("virtio_gpu.box.y", "y", base.DEC),
    ProtoField.uint32("virtio_gpu.box.z", "z", base.DEC),
    ProtoField.uint32("virtio_gpu.box.w", "w", base.DEC),
    ProtoField.uint32("virtio_gpu.box.h", "h", base.DEC),
    ProtoField.uint32("virtio_gpu.box.d", "d", base.DEC),
    ProtoField.none("virtio_gpu.box", "box"),
    ProtoField.uint32("virtio_gpu.level", "level", base.DEC),
    ProtoField.uint32("virtio_gpu.stride", "stride", base.DEC),
    ProtoField.uint32("virtio_gpu.layer_stride", "layer_stride", base.DEC),
    ProtoField.uint32("virtio_gpu.size", "size", base.DEC),
    ProtoField.bytes("virtio_gpu.commands", "commands"),
    ProtoField.uint32("virtio_gpu.pos.scanout_id", "scanout_id", base.DEC),
    ProtoField.uint32("virtio_gpu.pos.x", "x", base.DEC),
    ProtoField.uint32("virtio_gpu.pos.y", "y", base.DEC),
    ProtoField.uint32("virtio_gpu.pos.padding", "padding", base.DEC),
    ProtoField.none("virtio_gpu.pos", "pos"),
    ProtoField.uint32("virtio_gpu.hot_x", "hot_x", base.DEC),
    ProtoField.uint32("virtio_gpu.hot_y", "hot_y", base.DEC),
    ProtoField.uint32("virtio_gpu.pmodes.r.x", "x", base.DEC),
    ProtoField.uint32("virtio_gpu.pmodes.r.y", "y", base.DEC),
    ProtoField.uint32("virtio_gpu.pmodes.r.width", "width", base.DEC),
    ProtoField.uint32("virtio_gpu.pmodes.r.height", "height", base.DEC),
    ProtoField.none("virtio_gpu.pmodes.r", "r"),
    ProtoField.uint32("virtio_gpu.pmodes.enabled", "enabled", base.DEC),
    ProtoField.uint32("virtio_gpu.pmodes.flags", "flags", base.DEC),
    ProtoField.none("virtio_gpu.pmodes", "pmodes"),
    ProtoField.uint32("virtio_gpu.capset_max_version", "capset_max_version", base.DEC),
    ProtoField.uint32("virtio_gpu.capset_max_size", "capset_max_size", base.DEC),
    ProtoField.bytes("virtio_gpu.capset_data", "capset_data"),
    ProtoField.bytes("virtio_gpu.edid", "edid"),
    ProtoField.bytes("virtio_gpu.uuid", "uuid"),
    ProtoField.uint32("virtio_gpu.map_info", "map_info", base.HEX, N[6]),
    ProtoField.uint32("virtio_gpu.map_info.value", "map_info", base.HEX, N[6], 0xf),
    ProtoField.bytes("virtio_gpu.tail", "tail"),
}
local S = {
    CtrlHdr = { name = "virtio_gpu_ctrl_hdr", size = 24, members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } }, leaves = { { path = "type", offset = 0, size = 4 }, { path = "flags", offset = 4, size = 4 }, { path = "fence_id", offset = 8, size = 8 }, { path = "ctx_id", offset = 16, size = 4 }, { path = "ring_idx", offset = 20, size = 1 }, { path = "padding", offset = 21, size = 3 } } },
    HeaderOnly = { name = "virtio_gpu_ctrl_hdr", size = 24, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 } } },
    ResourceCreate2D = { name = "virtio_gpu_resource_create_2d", size = 40, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "resource_id", offset = 24, size = 4, field = F[10] }, { name = "format", offset = 28, size = 4, field = F[11], names = N[2] }, { name = "width", offset = 32, size = 4, field = F[12] }, { name = "height", offset = 36, size = 4, field = F[13] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "resource_id", offset = 24, size = 4 }, { path = "format", offset = 28, size = 4 }, { path = "width", offset = 32, size = 4 }, { path = "height", offset = 36, size = 4 } } },
    ResourceUnref = { name = "virtio_gpu_resource_unref", size = 32, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "resource_id", offset = 24, size = 4, field = F[10] }, { name = "padding", offset = 28, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "resource_id", offset = 24, size = 4 }, { path = "padding", offset = 28, size = 4 } } },
    SetScanout = { name = "virtio_gpu_set_scanout", size = 48, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "r", offset = 24, size = 16, field = F[19], of = "virtio_gpu_rect", members = { { name = "x", offset = 0, size = 4, quiet = true, field = F[15] }, { name = "y", offset = 4, size = 4, quiet = true, field = F[16] }, { name = "width", offset = 8, size = 4, quiet = true, field = F[17] }, { name = "height", offset = 12, size = 4, quiet = true, field = F[18] } } }, { name = "scanout_id", offset = 40, size = 4, field = F[20] }, { name = "resource_id", offset = 44, size = 4, field = F[10] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "r.x", offset = 24, size = 4 }, { path = "r.y", offset = 28, size = 4 }, { path = "r.width", offset = 32, size = 4 }, { path = "r.height", offset = 36, size = 4 }, { path = "scanout_id", offset = 40, size = 4 }, { path = "resource_id", offset = 44, size = 4 } } },
    ResourceFlush = { name = "virtio_gpu_resource_flush", size = 48, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "r", offset = 24, size = 16, field = F[19], of = "virtio_gpu_rect", members = { { name = "x", offset = 0, size = 4, quiet = true, field = F[15] }, { name = "y", offset = 4, size = 4, quiet = true, field = F[16] }, { name = "width", offset = 8, size = 4, quiet = true, field = F[17] }, { name = "height", offset = 12, size = 4, quiet = true, field = F[18] } } }, { name = "resource_id", offset = 40, size = 4, field = F[10] }, { name = "padding", offset = 44, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "r.x", offset = 24, size = 4 }, { path = "r.y", offset = 28, size = 4 }, { path = "r.width", offset = 32, size = 4 }, { path = "r.height", offset = 36, size = 4 }, { path = "resource_id", offset = 40, size = 4 }, { path = "padding", offset = 44, size = 4 } } },
    TransferToHost2D = { name = "virtio_gpu_transfer_to_host_2d", size = 56, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "r", offset = 24, size = 16, field = F[19], of = "virtio_gpu_rect", members = { { name = "x", offset = 0, size = 4, quiet = true, field = F[15] }, { name = "y", offset = 4, size = 4, quiet = true, field = F[16] }, { name = "width", offset = 8, size = 4, quiet = true, field = F[17] }, { name = "height", offset = 12, size = 4, quiet = true, field = F[18] } } }, { name = "offset", offset = 40, size = 8, field = F[21] }, { name = "resource_id", offset = 48, size = 4, field = F[10] }, { name = "padding", offset = 52, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "r.x", offset = 24, size = 4 }, { path = "r.y", offset = 28, size = 4 }, { path = "r.width", offset = 32, size = 4 }, { path = "r.height", offset = 36, size = 4 }, { path = "offset", offset = 40, size = 8 }, { path = "resource_id", offset = 48, size = 4 }, { path = "padding", offset = 52, size = 4 } } },
    ResourceAttachBacking = { name = "virtio_gpu_resource_attach_backing", size = 32, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "resource_id", offset = 24, size = 4, field = F[10] }, { name = "nr_entries", offset = 28, size = 4, field = F[22] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "resource_id", offset = 24, size = 4 }, { path = "nr_entries", offset = 28, size = 4 } }, tail = { name = "entries", size = 16, counter = 28, field = F[26], of = "virtio_gpu_mem_entry", members = { { name = "addr", offset = 0, size = 8, quiet = true, field = F[23] }, { name = "length", offset = 8, size = 4, quiet = true, field = F[24] }, { name = "padding", offset = 12, size = 4, quiet = true, field = F[25] } } } },
    ResourceDetachBacking = { name = "virtio_gpu_resource_detach_backing", size = 32, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "resource_id", offset = 24, size = 4, field = F[10] }, { name = "padding", offset = 28, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "resource_id", offset = 24, size = 4 }, { path = "padding", offset = 28, size = 4 } } },
    GetCapsetInfo = { name = "virtio_gpu_get_capset_info", size = 32, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "capset_index", offset = 24, size = 4, field = F[27] }, { name = "padding", offset = 28, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "capset_index", offset = 24, size = 4 }, { path = "padding", offset = 28, size = 4 } } },
    GetCapset = { name = "virtio_gpu_get_capset", size = 32, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "capset_id", offset = 24, size = 4, field = F[28], names = N[3] }, { name = "capset_version", offset = 28, size = 4, field = F[29] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "capset_id", offset = 24, size = 4 }, { path = "capset_version", offset = 28, size = 4 } } },
    GetEdid = { name = "virtio_gpu_cmd_get_edid", size = 32, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "scanout", offset = 24, size = 4, field = F[30] }, { name = "padding", offset = 28, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "scanout", offset = 24, size = 4 }, { path = "padding", offset = 28, size = 4 } } },
    ResourceAssignUuid = { name = "virtio_gpu_resource_assign_uuid", size = 32, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "resource_id", offset = 24, size = 4, field = F[10] }, { name = "padding", offset = 28, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "resource_id", offset = 24, size = 4 }, { path = "padding", offset = 28, size = 4 } } },
    ResourceCreateBlob = { name = "virtio_gpu_resource_create_blob", size = 56, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "resource_id", offset = 24, size = 4, field = F[10] }, { name = "blob_mem", offset = 28, size = 4, field = F[31], names = N[4] }, { name = "blob_flags", offset = 32, size = 4, field = F[35], bits = { F[32], F[33], F[34] } }, { name = "nr_entries", offset = 36, size = 4, field = F[22] }, { name = "blob_id", offset = 40, size = 8, field = F[36] }, { name = "size", offset = 48, size = 8, field = F[37] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "resource_id", offset = 24, size = 4 }, { path = "blob_mem", offset = 28, size = 4 }, { path = "blob_flags", offset = 32, size = 4 }, { path = "nr_entries", offset = 36, size = 4 }, { path = "blob_id", offset = 40, size = 8 }, { path = "size", offset = 48, size = 8 } }, tail = { name = "entries", size = 16, counter = 36, field = F[26], of = "virtio_gpu_mem_entry", members = { { name = "addr", offset = 0, size = 8, quiet = true, field = F[23] }, { name = "length", offset = 8, size = 4, quiet = true, field = F[24] }, { name = "padding", offset = 12, size = 4, quiet = true, field = F[25] } } } },
    SetScanoutBlob = { name = "virtio_gpu_set_scanout_blob", size = 96, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "r", offset = 24, size = 16, field = F[19], of = "virtio_gpu_rect", members = { { name = "x", offset = 0, size = 4, quiet = true, field = F[15] }, { name = "y", offset = 4, size = 4, quiet = true, field = F[16] }, { name = "width", offset = 8, size = 4, quiet = true, field = F[17] }, { name = "height", offset = 12, size = 4, quiet = true, field = F[18] } } }, { name = "scanout_id", offset = 40, size = 4, field = F[20] }, { name = "resource_id", offset = 44, size = 4, field = F[10] }, { name = "width", offset = 48, size = 4, field = F[12] }, { name = "height", offset = 52, size = 4, field = F[13] }, { name = "format", offset = 56, size = 4, field = F[11], names = N[2] }, { name = "padding", offset = 60, size = 4, quiet = true, field = F[14] }, { name = "strides", offset = 64, size = 4, count = 4, field = F[38] }, { name = "offsets", offset = 80, size = 4, count = 4, field = F[39] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "r.x", offset = 24, size = 4 }, { path = "r.y", offset = 28, size = 4 }, { path = "r.width", offset = 32, size = 4 }, { path = "r.height", offset = 36, size = 4 }, { path = "scanout_id", offset = 40, size = 4 }, { path = "resource_id", offset = 44, size = 4 }, { path = "width", offset = 48, size = 4 }, { path = "height", offset = 52, size = 4 }, { path = "format", offset = 56, size = 4 }, { path = "padding", offset = 60, size = 4 }, { path = "strides", offset = 64, size = 16 }, { path = "offsets", offset = 80, size = 16 } } },
    CtxCreate = { name = "virtio_gpu_ctx_create", size = 96, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "nlen", offset = 24, size = 4, field = F[40] }, { name = "context_init", offset = 28, size = 4, field = F[41], names = N[5], bits = { F[42] } }, { name = "debug_name", offset = 32, size = 64, field = F[43], bytes = true, text = true } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "nlen", offset = 24, size = 4 }, { path = "context_init", offset = 28, size = 4 }, { path = "debug_name", offset = 32, size = 64 } } },
    CtxDestroy = { name = "virtio_gpu_ctx_destroy", size = 24, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 } } },
    CtxResource = { name = "virtio_gpu_ctx_resource", size = 32, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "resource_id", offset = 24, size = 4, field = F[10] }, { name = "padding", offset = 28, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "resource_id", offset = 24, size = 4 }, { path = "padding", offset = 28, size = 4 } } },
    ResourceCreate3D = { name = "virtio_gpu_resource_create_3d", size = 72, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "resource_id", offset = 24, size = 4, field = F[10] }, { name = "target", offset = 28, size = 4, field = F[44] }, { name = "format", offset = 32, size = 4, field = F[45] }, { name = "bind", offset = 36, size = 4, field = F[46] }, { name = "width", offset = 40, size = 4, field = F[12] }, { name = "height", offset = 44, size = 4, field = F[13] }, { name = "depth", offset = 48, size = 4, field = F[47] }, { name = "array_size", offset = 52, size = 4, field = F[48] }, { name = "last_level", offset = 56, size = 4, field = F[49] }, { name = "nr_samples", offset = 60, size = 4, field = F[50] }, { name = "flags", offset = 64, size = 4, field = F[52], bits = { F[51] } }, { name = "padding", offset = 68, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "resource_id", offset = 24, size = 4 }, { path = "target", offset = 28, size = 4 }, { path = "format", offset = 32, size = 4 }, { path = "bind", offset = 36, size = 4 }, { path = "width", offset = 40, size = 4 }, { path = "height", offset = 44, size = 4 }, { path = "depth", offset = 48, size = 4 }, { path = "array_size", offset = 52, size = 4 }, { path = "last_level", offset = 56, size = 4 }, { path = "nr_samples", offset = 60, size = 4 }, { path = "flags", offset = 64, size = 4 }, { path = "padding", offset = 68, size = 4 } } },
    TransferHost3D = { name = "virtio_gpu_transfer_host_3d", size = 72, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "box", offset = 24, size = 24, field = F[59], of = "virtio_gpu_box", members = { { name = "x", offset = 0, size = 4, quiet = true, field = F[53] }, { name = "y", offset = 4, size = 4, quiet = true, field = F[54] }, { name = "z", offset = 8, size = 4, quiet = true, field = F[55] }, { name = "w", offset = 12, size = 4, quiet = true, field = F[56] }, { name = "h", offset = 16, size = 4, quiet = true, field = F[57] }, { name = "d", offset = 20, size = 4, quiet = true, field = F[58] } } }, { name = "offset", offset = 48, size = 8, field = F[21] }, { name = "resource_id", offset = 56, size = 4, field = F[10] }, { name = "level", offset = 60, size = 4, field = F[60] }, { name = "stride", offset = 64, size = 4, field = F[61] }, { name = "layer_stride", offset = 68, size = 4, field = F[62] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "box.x", offset = 24, size = 4 }, { path = "box.y", offset = 28, size = 4 }, { path = "box.z", offset = 32, size = 4 }, { path = "box.w", offset = 36, size = 4 }, { path = "box.h", offset = 40, size = 4 }, { path = "box.d", offset = 44, size = 4 }, { path = "offset", offset = 48, size = 8 }, { path = "resource_id", offset = 56, size = 4 }, { path = "level", offset = 60, size = 4 }, { path = "stride", offset = 64, size = 4 }, { path = "layer_stride", offset = 68, size = 4 } } },
    CmdSubmit = { name = "virtio_gpu_cmd_submit", size = 32, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "size", offset = 24, size = 4, field = F[63] }, { name = "padding", offset = 28, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "size", offset = 24, size = 4 }, { path = "padding", offset = 28, size = 4 } }, tail = { name = "commands", size = 1, counter = 24, field = F[64] } },
    ResourceMapBlob = { name = "virtio_gpu_resource_map_blob", size = 40, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "resource_id", offset = 24, size = 4, field = F[10] }, { name = "padding", offset = 28, size = 4, quiet = true, field = F[14] }, { name = "offset", offset = 32, size = 8, field = F[21] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "resource_id", offset = 24, size = 4 }, { path = "padding", offset = 28, size = 4 }, { path = "offset", offset = 32, size = 8 } } },
    ResourceUnmapBlob = { name = "virtio_gpu_resource_unmap_blob", size = 32, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "resource_id", offset = 24, size = 4, field = F[10] }, { name = "padding", offset = 28, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "resource_id", offset = 24, size = 4 }, { path = "padding", offset = 28, size = 4 } } },
    UpdateCursor = { name = "virtio_gpu_update_cursor", size = 56, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "pos", offset = 24, size = 16, field = F[69], of = "virtio_gpu_cursor_pos", members = { { name = "scanout_id", offset = 0, size = 4, quiet = true, field = F[65] }, { name = "x", offset = 4, size = 4, quiet = true, field = F[66] }, { name = "y", offset = 8, size = 4, quiet = true, field = F[67] }, { name = "padding", offset = 12, size = 4, quiet = true, field = F[68] } } }, { name = "resource_id", offset = 40, size = 4, field = F[10] }, { name = "hot_x", offset = 44, size = 4, field = F[70] }, { name = "hot_y", offset = 48, size = 4, field = F[71] }, { name = "padding", offset = 52, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "pos.scanout_id", offset = 24, size = 4 }, { path = "pos.x", offset = 28, size = 4 }, { path = "pos.y", offset = 32, size = 4 }, { path = "pos.padding", offset = 36, size = 4 }, { path = "resource_id", offset = 40, size = 4 }, { path = "hot_x", offset = 44, size = 4 }, { path = "hot_y", offset = 48, size = 4 }, { path = "padding", offset = 52, size = 4 } } },
    RespDisplayInfo = { name = "virtio_gpu_resp_display_info", size = 408, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "pmodes", offset = 24, size = 24, count = 16, field = F[79], of = "virtio_gpu_display_one", members = { { name = "r", offset = 0, size = 16, field = F[76], of = "virtio_gpu_rect", members = { { name = "x", offset = 0, size = 4, quiet = true, field = F[72] }, { name = "y", offset = 4, size = 4, quiet = true, field = F[73] }, { name = "width", offset = 8, size = 4, quiet = true, field = F[74] }, { name = "height", offset = 12, size = 4, quiet = true, field = F[75] } } }, { name = "enabled", offset = 16, size = 4, quiet = true, field = F[77] }, { name = "flags", offset = 20, size = 4, quiet = true, field = F[78] } } } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "pmodes", offset = 24, size = 384 } } },
    RespCapsetInfo = { name = "virtio_gpu_resp_capset_info", size = 40, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "capset_id", offset = 24, size = 4, field = F[28], names = N[3] }, { name = "capset_max_version", offset = 28, size = 4, field = F[80] }, { name = "capset_max_size", offset = 32, size = 4, field = F[81] }, { name = "padding", offset = 36, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "capset_id", offset = 24, size = 4 }, { path = "capset_max_version", offset = 28, size = 4 }, { path = "capset_max_size", offset = 32, size = 4 }, { path = "padding", offset = 36, size = 4 } } },
    RespCapset = { name = "virtio_gpu_resp_capset", size = 24, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 } }, tail = { name = "capset_data", size = 1, field = F[82] } },
    RespEdid = { name = "virtio_gpu_resp_edid", size = 1056, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "size", offset = 24, size = 4, field = F[63] }, { name = "padding", offset = 28, size = 4, quiet = true, field = F[14] }, { name = "edid", offset = 32, size = 1024, field = F[83], bytes = true } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "size", offset = 24, size = 4 }, { path = "padding", offset = 28, size = 4 }, { path = "edid", offset = 32, size = 1024 } } },
    RespResourceUuid = { name = "virtio_gpu_resp_resource_uuid", size = 40, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "uuid", offset = 24, size = 16, field = F[84], bytes = true } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "uuid", offset = 24, size = 16 } } },
    RespMapInfo = { name = "virtio_gpu_resp_map_info", size = 32, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } }, { name = "map_info", offset = 24, size = 4, field = F[85], names = N[6], bits = { F[86] } }, { name = "padding", offset = 28, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 }, { path = "map_info", offset = 24, size = 4 }, { path = "padding", offset = 28, size = 4 } } },
    Unknown = { name = "virtio_gpu_ctrl_hdr", size = 24, members = { { name = "hdr", offset = 0, size = 24, field = F[9], of = "virtio_gpu_ctrl_hdr", members = { { name = "type", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "flags", offset = 4, size = 4, quiet = true, field = F[4], bits = { F[2], F[3] } }, { name = "fence_id", offset = 8, size = 8, quiet = true, field = F[5] }, { name = "ctx_id", offset = 16, size = 4, field = F[6] }, { name = "ring_idx", offset = 20, size = 1, quiet = true, field = F[7] }, { name = "padding", offset = 21, size = 3, field = F[8], bytes = true } } } }, leaves = { { path = "hdr.type", offset = 0, size = 4 }, { path = "hdr.flags", offset = 4, size = 4 }, { path = "hdr.fence_id", offset = 8, size = 8 }, { path = "hdr.ctx_id", offset = 16, size = 4 }, { path = "hdr.ring_idx", offset = 20, size = 1 }, { path = "hdr.padding", offset = 21, size = 3 } }, tail = { name = "tail", size = 1, field = F[87] } },
}
table.insert(kinds, {
    name = "virtio_gpu", title = "virtio-gpu", first_answer = 0x1100, first_error = 0x1200, link = "queue", queues = { [0x0] = "controlq", [0x1] = "cursorq" },
    header = S.CtrlHdr,
    names = { [0x100] = "GET_DISPLAY_INFO", [0x101] = "RESOURCE_CREATE_2D", [0x102] = "RESOURCE_UNREF", [0x103] = "SET_SCANOUT", [0x104] = "RESOURCE_FLUSH", [0x105] = "TRANSFER_TO_HOST_2D", [0x106] = "RESOURCE_ATTACH_BACKING", [0x107] = "RESOURCE_DETACH_BACKING", [0x108] = "GET_CAPSET_INFO", [0x109] = "GET_CAPSET", [0x10a] = "GET_EDID", [0x10b] = "RESOURCE_ASSIGN_UUID", [0x10c] = "RESOURCE_CREATE_BLOB", [0x10d] = "SET_SCANOUT_BLOB", [0x200] = "CTX_CREATE", [0x201] = "CTX_DESTROY", [0x202] = "CTX_ATTACH_RESOURCE", [0x203] = "CTX_DETACH_RESOURCE", [0x204] = "RESOURCE_CREATE_3D", [0x205] = "TRANSFER_TO_HOST_3D", [0x206] = "TRANSFER_FROM_HOST_3D", [0x207] = "SUBMIT_3D", [0x208] = "RESOURCE_MAP_BLOB", [0x209] = "RESOURCE_UNMAP_BLOB", [0x300] = "UPDATE_CURSOR", [0x301] = "MOVE_CURSOR", [0x1100] = "RESP_OK_NODATA", [0x1101] = "RESP_OK_DISPLAY_INFO", [0x1102] = "RESP_OK_CAPSET_INFO", [0x1103] = "RESP_OK_CAPSET", [0x1104] = "RESP_OK_EDID", [0x1105] = "RESP_OK_RESOURCE_UUID", [0x1106] = "RESP_OK_MAP_INFO", [0x1200] = "RESP_ERR_UNSPEC", [0x1201] = "RESP_ERR_OUT_OF_MEMORY", [0x1202] = "RESP_ERR_INVALID_SCANOUT_ID", [0x1203] = "RESP_ERR_INVALID_RESOURCE_ID", [0x1204] = "RESP_ERR_INVALID_CONTEXT_ID", [0x1205] = "RESP_ERR_INVALID_PARAMETER" },
    fields = F,
    ends = { "guest", "vmm" },
    structures = {
    [0x0100] = S.HeaderOnly,
    [0x0101] = S.ResourceCreate2D,
    [0x0102] = S.ResourceUnref,
    [0x0103] = S.SetScanout,
    [0x0104] = S.ResourceFlush,
    [0x0105] = S.TransferToHost2D,
    [0x0106] = S.ResourceAttachBacking,
    [0x0107] = S.ResourceDetachBacking,
    [0x0108] = S.GetCapsetInfo,
    [0x0109] = S.GetCapset,
    [0x010a] = S.GetEdid,
    [0x010b] = S.ResourceAssignUuid,
    [0x010c] = S.ResourceCreateBlob,
    [0x010d] = S.SetScanoutBlob,
    [0x0200] = S.CtxCreate,
    [0x0201] = S.CtxDestroy,
    [0x0202] = S.CtxResource,
    [0x0203] = S.CtxResource,
    [0x0204] = S.ResourceCreate3D,
    [0x0205] = S.TransferHost3D,
    [0x0206] = S.TransferHost3D,
    [0x0207] = S.CmdSubmit,
    [0x0208] = S.ResourceMapBlob,
    [0x0209] = S.ResourceUnmapBlob,
    [0x0300] = S.UpdateCursor,
    [0x0301] = S.UpdateCursor,
    [0x1100] = S.HeaderOnly,
    [0x1101] = S.RespDisplayInfo,
    [0x1102] = S.RespCapsetInfo,
    [0x1103] = S.RespCapset,
    [0x1104] = S.RespEdid,
    [0x1105] = S.RespResourceUuid,
    [0x1106] = S.RespMapInfo,
    [0x1200] = S.HeaderOnly,
    [0x1201] = S.HeaderOnly,
    [0x1202] = S.HeaderOnly,
    [0x1203] = S.HeaderOnly,
    [0x1204] = S.HeaderOnly,
    [0x1205] = S.HeaderOnly,
},
    unknown = S.Unknown,
})
end

do
local N = {
    { [0x1] = "CTX_CREATE", [0x2] = "CTX_DESTROY", [0x3] = "CTX_ATTACH", [0x4] = "CTX_DETACH", [0x5] = "SUBMIT", [0x6] = "CREATE_BLOB", [0x7] = "UNREF", [0x8] = "EXPORT_BLOB", [0x9] = "GET_MAP_INFO", [0xa] = "IOCTL", [0xb] = "CLOSE", [0xc] = "FENCE", [0xd] = "RESET" },
    { [0x40086200] = "DMA_BUF_IOCTL_SYNC", [0x40046201] = "DMA_BUF_SET_NAME_A", [0x40086201] = "DMA_BUF_SET_NAME_B", [0xc0086202] = "DMA_BUF_IOCTL_EXPORT_SYNC_FILE", [0x40086203] = "DMA_BUF_IOCTL_IMPORT_SYNC_FILE", [0xc0106202] = "DMA_BUF_IOCTL_INFO" },
}
local F = {
    ProtoField.uint32("vgpu_emu_question.hdr.op", "op", base.HEX, N[1]),
    ProtoField.uint32("vgpu_emu_question.hdr.serial", "serial", base.DEC),
    ProtoField.none("vgpu_emu_question.hdr", "hdr"),
    ProtoField.uint32("vgpu_emu_question.ctx_id", "ctx_id", base.DEC),
    ProtoField.uint32("vgpu_emu_question.value", "value", base.DEC),
    ProtoField.uint32("vgpu_emu_question.ring_idx", "ring_idx", base.DEC),
    ProtoField.uint32("vgpu_emu_question.size", "size", base.DEC),
    ProtoField.bytes("vgpu_emu_question.commands", "commands"),
    ProtoField.uint32("vgpu_emu_question.resource_id", "resource_id", base.DEC),
    ProtoField.uint32("vgpu_emu_question.blob_mem", "blob_mem", base.DEC),
    ProtoField.uint32("vgpu_emu_question.blob_flags", "blob_flags", base.DEC),
    ProtoField.uint64("vgpu_emu_question.blob_id", "blob_id", base.DEC_HEX),
    ProtoField.uint64("vgpu_emu_question.size", "size", base.DEC_HEX),
    ProtoField.uint32("vgpu_emu_question.reserved", "reserved", base.DEC),
    ProtoField.uint32("vgpu_emu_question.fd", "fd", base.DEC),
    ProtoField.uint32("vgpu_emu_question.request", "request", base.HEX, N[2]),
    ProtoField.bytes("vgpu_emu_question.argument", "argument"),
    ProtoField.uint32("vgpu_emu_question.is_global", "is_global", base.DEC),
    ProtoField.uint64("vgpu_emu_question.fence_id", "fence_id", base.DEC_HEX),
}
local S = {
    Question = { name = "vgpu_emu_question", size = 8, members = { { name = "op", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "serial", offset = 4, size = 4, quiet = true, field = F[2] } }, leaves = { { path = "op", offset = 0, size = 4 }, { path = "serial", offset = 4, size = 4 } } },
    ContextQuestion = { name = "vgpu_emu_question_context", size = 16, members = { { name = "hdr", offset = 0, size = 8, field = F[3], of = "vgpu_emu_question", members = { { name = "op", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "serial", offset = 4, size = 4, quiet = true, field = F[2] } } }, { name = "ctx_id", offset = 8, size = 4, field = F[4] }, { name = "value", offset = 12, size = 4, field = F[5] } }, leaves = { { path = "hdr.op", offset = 0, size = 4 }, { path = "hdr.serial", offset = 4, size = 4 }, { path = "ctx_id", offset = 8, size = 4 }, { path = "value", offset = 12, size = 4 } } },
    Submit = { name = "vgpu_emu_question_submit", size = 20, members = { { name = "hdr", offset = 0, size = 8, field = F[3], of = "vgpu_emu_question", members = { { name = "op", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "serial", offset = 4, size = 4, quiet = true, field = F[2] } } }, { name = "ctx_id", offset = 8, size = 4, field = F[4] }, { name = "ring_idx", offset = 12, size = 4, field = F[6] }, { name = "size", offset = 16, size = 4, field = F[7] } }, leaves = { { path = "hdr.op", offset = 0, size = 4 }, { path = "hdr.serial", offset = 4, size = 4 }, { path = "ctx_id", offset = 8, size = 4 }, { path = "ring_idx", offset = 12, size = 4 }, { path = "size", offset = 16, size = 4 } }, tail = { name = "commands", size = 1, counter = 16, field = F[8] } },
    CreateBlob = { name = "vgpu_emu_question_create_blob", size = 40, members = { { name = "hdr", offset = 0, size = 8, field = F[3], of = "vgpu_emu_question", members = { { name = "op", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "serial", offset = 4, size = 4, quiet = true, field = F[2] } } }, { name = "ctx_id", offset = 8, size = 4, field = F[4] }, { name = "resource_id", offset = 12, size = 4, field = F[9] }, { name = "blob_mem", offset = 16, size = 4, field = F[10] }, { name = "blob_flags", offset = 20, size = 4, field = F[11] }, { name = "blob_id", offset = 24, size = 8, field = F[12] }, { name = "size", offset = 32, size = 8, field = F[13] } }, leaves = { { path = "hdr.op", offset = 0, size = 4 }, { path = "hdr.serial", offset = 4, size = 4 }, { path = "ctx_id", offset = 8, size = 4 }, { path = "resource_id", offset = 12, size = 4 }, { path = "blob_mem", offset = 16, size = 4 }, { path = "blob_flags", offset = 20, size = 4 }, { path = "blob_id", offset = 24, size = 8 }, { path = "size", offset = 32, size = 8 } } },
    ResourceQuestion = { name = "vgpu_emu_question_resource", size = 16, members = { { name = "hdr", offset = 0, size = 8, field = F[3], of = "vgpu_emu_question", members = { { name = "op", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "serial", offset = 4, size = 4, quiet = true, field = F[2] } } }, { name = "resource_id", offset = 8, size = 4, field = F[9] }, { name = "reserved", offset = 12, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.op", offset = 0, size = 4 }, { path = "hdr.serial", offset = 4, size = 4 }, { path = "resource_id", offset = 8, size = 4 }, { path = "reserved", offset = 12, size = 4 } } },
    Ioctl = { name = "vgpu_emu_question_ioctl", size = 20, members = { { name = "hdr", offset = 0, size = 8, field = F[3], of = "vgpu_emu_question", members = { { name = "op", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "serial", offset = 4, size = 4, quiet = true, field = F[2] } } }, { name = "fd", offset = 8, size = 4, field = F[15] }, { name = "request", offset = 12, size = 4, field = F[16], names = N[2] }, { name = "size", offset = 16, size = 4, field = F[7] } }, leaves = { { path = "hdr.op", offset = 0, size = 4 }, { path = "hdr.serial", offset = 4, size = 4 }, { path = "fd", offset = 8, size = 4 }, { path = "request", offset = 12, size = 4 }, { path = "size", offset = 16, size = 4 } }, tail = { name = "argument", size = 1, counter = 16, field = F[17] } },
    Close = { name = "vgpu_emu_question_close", size = 16, members = { { name = "hdr", offset = 0, size = 8, field = F[3], of = "vgpu_emu_question", members = { { name = "op", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "serial", offset = 4, size = 4, quiet = true, field = F[2] } } }, { name = "fd", offset = 8, size = 4, field = F[15] }, { name = "reserved", offset = 12, size = 4, quiet = true, field = F[14] } }, leaves = { { path = "hdr.op", offset = 0, size = 4 }, { path = "hdr.serial", offset = 4, size = 4 }, { path = "fd", offset = 8, size = 4 }, { path = "reserved", offset = 12, size = 4 } } },
    Fence = { name = "vgpu_emu_question_fence", size = 28, members = { { name = "hdr", offset = 0, size = 8, field = F[3], of = "vgpu_emu_question", members = { { name = "op", offset = 0, size = 4, quiet = true, field = F[1], names = N[1] }, { name = "serial", offset = 4, size = 4, quiet = true, field = F[2] } } }, { name = "ctx_id", offset = 8, size = 4, field = F[4] }, { name = "ring_idx", offset = 12, size = 4, field = F[6] }, { name = "is_global", offset = 16, size = 4, field = F[18] }, { name = "fence_id", offset = 20, size = 8, field = F[19] } }, leaves = { { path = "hdr.op", offset = 0, size = 4 }, { path = "hdr.serial", offset = 4, size = 4 }, { path = "ctx_id", offset = 8, size = 4 }, { path = "ring_idx", offset = 12, size = 4 }, { path = "is_global", offset = 16, size = 4 }, { path = "fence_id", offset = 20, size = 8 } } },
}
table.insert(kinds, {
    name = "vgpu_emu_question", title = "renderer question", link = "renderer", serial = 4, direction = 0,
    header = S.Question,
    names = { [0x1] = "CTX_CREATE", [0x2] = "CTX_DESTROY", [0x3] = "CTX_ATTACH", [0x4] = "CTX_DETACH", [0x5] = "SUBMIT", [0x6] = "CREATE_BLOB", [0x7] = "UNREF", [0x8] = "EXPORT_BLOB", [0x9] = "GET_MAP_INFO", [0xa] = "IOCTL", [0xb] = "CLOSE", [0xc] = "FENCE", [0xd] = "RESET" },
    fields = F,
    ends = { "vmm", "host" },
    structures = {
    [0x0001] = S.ContextQuestion,
    [0x0002] = S.ContextQuestion,
    [0x0003] = S.ContextQuestion,
    [0x0004] = S.ContextQuestion,
    [0x0005] = S.Submit,
    [0x0006] = S.CreateBlob,
    [0x0007] = S.ResourceQuestion,
    [0x0008] = S.ResourceQuestion,
    [0x0009] = S.ResourceQuestion,
    [0x000a] = S.Ioctl,
    [0x000b] = S.Close,
    [0x000c] = S.Fence,
    [0x000d] = S.Question,
},
    unknown = S.Question,
})
end

do
local N = {
}
local F = {
    ProtoField.uint32("vgpu_emu_answer.errno", "errno", base.DEC),
    ProtoField.uint32("vgpu_emu_answer.serial", "serial", base.DEC),
    ProtoField.uint64("vgpu_emu_answer.value", "value", base.DEC_HEX),
    ProtoField.uint32("vgpu_emu_answer.size", "size", base.DEC),
    ProtoField.uint32("vgpu_emu_answer.padding", "padding", base.DEC),
    ProtoField.bytes("vgpu_emu_answer.data", "data"),
}
local S = {
    Answer = { name = "vgpu_emu_answer", size = 24, members = { { name = "errno", offset = 0, size = 4, field = F[1] }, { name = "serial", offset = 4, size = 4, field = F[2] }, { name = "value", offset = 8, size = 8, field = F[3] }, { name = "size", offset = 16, size = 4, field = F[4] }, { name = "padding", offset = 20, size = 4, quiet = true, field = F[5] } }, leaves = { { path = "errno", offset = 0, size = 4 }, { path = "serial", offset = 4, size = 4 }, { path = "value", offset = 8, size = 8 }, { path = "size", offset = 16, size = 4 }, { path = "padding", offset = 20, size = 4 } }, tail = { name = "data", size = 1, counter = 16, field = F[6] } },
}
table.insert(kinds, {
    name = "vgpu_emu_answer", title = "renderer answer", link = "renderer", serial = 4, direction = 1,
    header = S.Answer,
    names = {  },
    fields = F,
    ends = { "vmm", "host" },
})
end

do
local N = {
}
local F = {
    ProtoField.uint32("vgpu_emu_signal.ctx_id", "ctx_id", base.DEC),
    ProtoField.uint32("vgpu_emu_signal.ring_idx", "ring_idx", base.DEC),
    ProtoField.uint32("vgpu_emu_signal.is_global", "is_global", base.DEC),
    ProtoField.uint32("vgpu_emu_signal.padding", "padding", base.DEC),
    ProtoField.uint64("vgpu_emu_signal.fence_id", "fence_id", base.DEC_HEX),
}
local S = {
    Signal = { name = "vgpu_emu_signal", size = 24, members = { { name = "ctx_id", offset = 0, size = 4, field = F[1] }, { name = "ring_idx", offset = 4, size = 4, field = F[2] }, { name = "is_global", offset = 8, size = 4, field = F[3] }, { name = "padding", offset = 12, size = 4, quiet = true, field = F[4] }, { name = "fence_id", offset = 16, size = 8, field = F[5] } }, leaves = { { path = "ctx_id", offset = 0, size = 4 }, { path = "ring_idx", offset = 4, size = 4 }, { path = "is_global", offset = 8, size = 4 }, { path = "padding", offset = 12, size = 4 }, { path = "fence_id", offset = 16, size = 8 } } },
}
table.insert(kinds, {
    name = "vgpu_emu_signal", title = "fence signal", direction = 1,
    header = S.Signal,
    names = {  },
    fields = F,
    ends = { "vmm", "host" },
})
end


local EMPTY = {}
local REQUEST, ANSWER = 0, 1

-- Of the port on the device's side: numbers of queues are below, the number of the run counts from here.
local RUN = 0x10000

-- Which packet answers which: learned when a packet is seen first, in the order of the file.
local waiting, request_of, answer_of

local function forget()
    waiting, request_of, answer_of = {}, {}, {}
end

-- What may be read, and how long the message was before a capture cut it.
local function sizes(tvb)
    return tvb:captured_len(), tvb:reported_len()
end

local function number(tvb, offset)
    return tvb(offset, 4):le_uint()
end

-- A value for the Info column; nil: not worth a word.
local function words(member, range)
    if member.quiet then
        return nil
    elseif member.size == 8 then
        local digits = range:le_uint64():tohex():gsub("^0+", "")
        return digits ~= "" and member.name .. " 0x" .. digits or nil
    end
    local value = range:le_uint()
    local name = member.names and member.names[value]
    if name or value ~= 0 then
        return member.name .. " " .. (name or string.format(value < 4096 and "%d" or "0x%x", value))
    end
end

local add_members

local function add_integer(tree, member, range)
    local item = tree:add_le(member.field, range)
    for _, bit in ipairs(member.bits or EMPTY) do
        item:add_le(bit, range)
    end
end

local function add_bytes(tree, member, range)
    local item = tree:add(member.field, range)
    local text = member.text and range:raw():match("^([%g ]+)\0*$")
    if text then
        item:append_text(' "' .. text .. '"')
    end
end

-- Elements of an array, as many as the capture holds; structures are numbered.
local function add_array(tree, member, tvb, base, count)
    local held = math.min(count, math.floor((tvb:captured_len() - base) / member.size))
    if member.members then
        local rest = tvb(base, math.min(count * member.size, tvb:captured_len() - base))
        tree = tree:add(member.field, rest):set_text(member.name .. ": " .. count .. " x " .. member.of)
    end
    for index = 0, held - 1 do
        local offset = base + index * member.size
        if member.members then
            local element = tree:add(tvb(offset, member.size), "[" .. index .. "]")
            add_members(element, member.members, tvb, offset)
        else
            add_integer(tree, member, tvb(offset, member.size))
        end
    end
end

-- The members that are there whole; of what the Info column says of them, a list.
add_members = function(tree, members, tvb, base)
    local said = {}
    local captured = tvb:captured_len()
    for _, member in ipairs(members) do
        local offset = base + member.offset
        if member.count then
            if offset + member.size * member.count <= captured then
                add_array(tree, member, tvb, offset, member.count)
            end
        elseif member.members then
            if offset < captured then
                local range = tvb(offset, math.min(member.size, captured - offset))
                local inner = tree:add(member.field, range):set_text(member.name)
                for _, word in ipairs(add_members(inner, member.members, tvb, offset)) do
                    table.insert(said, word)
                end
            end
        elseif offset + member.size <= captured then
            local range = tvb(offset, member.size)
            if member.bytes then
                add_bytes(tree, member, range)
            else
                add_integer(tree, member, range)
                said[#said + 1] = words(member, range)
            end
        end
    end
    return said
end

-- What counts the elements behind the structure, or all that is there.
local function add_tail(tree, structure, tvb)
    local tail = structure.tail
    local captured, size = sizes(tvb)
    if not tail or captured <= structure.size then
        return
    end
    local count = math.floor((size - structure.size) / tail.size)
    if tail.counter then
        count = math.min(count, number(tvb, tail.counter))
    end
    if tail.members then
        add_array(tree, tail, tvb, structure.size, count)
    elseif count > 0 then
        tree:add(tail.field, tvb(structure.size, math.min(count, captured - structure.size)))
    end
end

-- Why the bytes are not this structure: kind, path and offset; nil if they are.
local function flaw(structure, tvb)
    local captured, size = sizes(tvb)
    for _, leaf in ipairs(structure.leaves) do
        if leaf.offset + leaf.size > size then
            return "truncated", structure.name .. "." .. leaf.path, leaf.offset
        end
    end
    local tail, expected = structure.tail, structure.size
    if tail and not tail.counter or captured < structure.size then
        return nil
    end
    if tail then
        expected = expected + tail.size * number(tvb, tail.counter)
    end
    if size > expected then
        return "trailing", structure.name .. (tail and "." .. tail.name or ""), expected
    elseif size < expected then
        local index = math.floor((size - structure.size) / tail.size)
        local path = string.format("%s.%s[%.0f]", structure.name, tail.name, index)
        return "truncated", path, structure.size + index * tail.size
    end
end

-- What a request and its answer have in common: the descriptor chain of a run, or the serial of a question. Fields of
-- Wireshark's own would say the interface, but are there only when somebody looks at the packet.
local function conversation(kind, tvb, pinfo, direction)
    local asks = direction == REQUEST
    local head, queue = asks and pinfo.src_port or pinfo.dst_port, asks and pinfo.dst_port or pinfo.src_port
    local serial = kind.serial and tvb:captured_len() >= kind.serial + 4 and number(tvb, kind.serial) or 0
    return string.format("%s %.0f %.0f %.0f", kind.link, queue, head, serial)
end

-- Who is answered by this packet, and where it is answered. A chain that comes again has lost its answer; where the
-- capture does not say who speaks it does not name the chain either, and answers come in the order of the requests.
local function pair(key, pinfo, direction, name)
    if not pinfo.visited then
        local named = pinfo.p2p_dir == REQUEST or pinfo.p2p_dir == ANSWER
        local queue = waiting[key] or {}
        waiting[key] = queue
        if direction == REQUEST then
            queue[named and 1 or #queue + 1] = { number = pinfo.number, name = name, time = pinfo.rel_ts }
        else
            local request = table.remove(queue, 1)
            if request then
                request_of[pinfo.number], answer_of[request.number] = request, pinfo.number
            end
        end
    end
    return request_of[pinfo.number], answer_of[pinfo.number]
end

local function add_pair(tree, kind, pinfo, request, answer)
    if request then
        local seconds, fraction = math.modf(pinfo.rel_ts - request.time)
        tree:add(kind.response_to, request.number):set_generated()
        tree:add(kind.time, NSTime(seconds, math.floor(fraction * 1e9 + 0.5))):set_generated()
    end
    if answer then
        tree:add(kind.response_in, answer):set_generated()
    end
end

local function add_chain(tree, kind, pinfo, direction)
    local asks = direction == REQUEST
    tree:add(kind.head, asks and pinfo.src_port or pinfo.dst_port):set_generated()
    tree:add(kind.queue, (asks and pinfo.dst_port or pinfo.src_port) % RUN):set_generated()
end

local function add_complaints(tree, kind, structure, code, name, tvb)
    local captured, size = sizes(tvb)
    local what, path, offset = flaw(structure, tvb)
    if what then
        tree:add_proto_expert_info(kind[what], string.format("%s at offset %.0f: %s", what, offset, path))
    end
    if code and not kind.structures[code] then
        tree:add_proto_expert_info(kind.unknown_type, "unknown type " .. name)
    elseif code and kind.first_error and code >= kind.first_error then
        tree:add_proto_expert_info(kind.error_response, name)
    end
    if captured < size then
        tree:add_proto_expert_info(kind.cut, string.format("%.0f of %.0f bytes are in the capture", captured, size))
    end
end

-- Who speaks: what the capture says; else what the type says.
local function direction_of(kind, pinfo, code)
    local said = kind.direction or pinfo.p2p_dir
    if said == REQUEST or said == ANSWER then
        return said
    end
    return code and code >= kind.first_answer and ANSWER or REQUEST
end

local function dissect(kind, proto, tvb, pinfo, tree)
    local captured, size = sizes(tvb)
    local item, said = tree:add(proto, tvb()), {}
    local code = kind.structures and captured >= 4 and number(tvb, 0)
    local name = code and (kind.names[code] or string.format("0x%04x", code)) or kind.title
    local structure = code and size >= kind.header.size and (kind.structures[code] or kind.unknown) or kind.header
    local direction = direction_of(kind, pinfo, code)
    if size == 0 and direction == ANSWER then
        name = "an answer of no bytes"
    else
        said = add_members(item, structure.members, tvb, 0)
        add_tail(item, structure, tvb)
        add_complaints(item, kind, structure, code, name, tvb)
    end
    if kind.queues then
        add_chain(item, kind, pinfo, direction)
    end
    if kind.link then
        local key = conversation(kind, tvb, pinfo, direction)
        local request, answer = pair(key, pinfo, direction, name)
        add_pair(item, kind, pinfo, request, answer)
        name = request and name .. " to " .. request.name or name
    end
    item:append_text(", " .. name)
    pinfo.cols.protocol = kind.title
    pinfo.cols.src, pinfo.cols.dst = kind.ends[1 + direction], kind.ends[2 - direction]
    pinfo.cols.info = name .. (#said > 0 and ", " .. table.concat(said, ", ") or "")
end

-- The fields and complaints that every dissector has.
local function register(kind)
    local proto = Proto(kind.name, kind.title)
    local fields = kind.fields
    local function field(member, make, name, ...)
        kind[member] = make(kind.name .. "." .. member, name, ...)
        table.insert(fields, kind[member])
    end
    local function complaint(member, text, group, severity)
        kind[member] = ProtoExpert.new(kind.name .. "." .. member, text, group, severity)
        return kind[member]
    end
    if kind.link then
        field("response_in", ProtoField.framenum, "answered in", base.NONE, frametype.RESPONSE)
        field("response_to", ProtoField.framenum, "answer to", base.NONE, frametype.REQUEST)
        field("time", ProtoField.relative_time, "time since the request")
    end
    if kind.queues then
        field("queue", ProtoField.uint32, "queue", base.DEC, kind.queues)
        field("head", ProtoField.uint32, "head of the descriptor chain", base.DEC)
    end
    proto.fields = fields
    proto.experts = {
        complaint("truncated", "the message ends too early", expert.group.MALFORMED, expert.severity.ERROR),
        complaint("trailing", "bytes behind the message", expert.group.MALFORMED, expert.severity.ERROR),
        complaint("unknown_type", "unknown type", expert.group.UNDECODED, expert.severity.WARN),
        complaint("error_response", "error response", expert.group.RESPONSE_CODE, expert.severity.NOTE),
        complaint("cut", "the capture has not all of it", expert.group.UNDECODED, expert.severity.NOTE),
    }
    proto.init = forget
    proto.dissector = function(tvb, pinfo, tree)
        dissect(kind, proto, tvb, pinfo, tree)
        return tvb:captured_len()
    end
end

forget()
for _, kind in ipairs(kinds) do
    register(kind)
end
