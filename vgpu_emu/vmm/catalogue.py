"""The profiles that come with the emulator. Others can be added through the entry point ``vgpu_emu.profiles``."""

from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.rules import UNCHECKED, UNSPEC, Rule

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(name="strict", models="the spec, with its most specific error codes", correct=True),
        Profile(
            name="qemu-virgl",
            models="QEMU virtio-gpu-virgl: it does not look whether the query for map_info failed, and sends NONE",
            differs={
                Rule.MAP_INFO_KNOWN: UNCHECKED,
                Rule.MAP_MAPPABLE: UNCHECKED,
                Rule.RENDERER_ACCEPTS: UNSPEC,
                Rule.RENDERER_HAS_ROOM: UNSPEC,
            },
        ),
        Profile(
            name="crosvm",
            models="crosvm with rutabaga: whatever the renderer refuses is UNSPEC",
            differs={Rule.RENDERER_ACCEPTS: UNSPEC, Rule.RENDERER_HAS_ROOM: UNSPEC},
        ),
    )
}
