"""``vgpu-emu dissector``: a dissector for Wireshark."""

from vgpu_emu.trace import dissector as lua


def dissector() -> int:
    """Print a Lua dissector for Wireshark and tshark, written from the wire definitions.

    It knows every member of every message, with its words, and what is wrong with malformed ones; it matches requests
    and answers. Filters have the names of C: virtio_gpu.map_info == 3, virtio_gpu.hdr.ctx_id == 1.

    To look at a run:

        vgpu-emu dissector > virtio_gpu.lua

        vgpu-emu demo cache --log run.jsonl

        vgpu-emu convert run.jsonl run.pcapng

        tshark -X lua_script:virtio_gpu.lua -r run.pcapng -Y virtio_gpu.map_info

    docs/traces.md has more filters, and says what is in the pcapng file.
    """
    print(lua.dissector(), end="")
    return 0
