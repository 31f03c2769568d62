"""Every command that the device carries out: the 26 of virtio 1.4."""

from vgpu_emu.vmm import backings, blobs, contexts, images, scanouts
from vgpu_emu.vmm.command import Command
from vgpu_wire.control import CtrlType

COMMANDS: dict[CtrlType, Command] = {
    **scanouts.COMMANDS,
    **images.COMMANDS,
    **backings.COMMANDS,
    **blobs.COMMANDS,
    **contexts.COMMANDS,
}
