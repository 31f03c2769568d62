"""Every command that the device carries out."""

from vgpu_emu.vmm import blobs, contexts
from vgpu_emu.vmm.device import Command
from vgpu_wire.control import CtrlType

COMMANDS: dict[CtrlType, Command] = contexts.COMMANDS | blobs.COMMANDS
