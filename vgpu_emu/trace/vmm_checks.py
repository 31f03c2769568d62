"""What VMMs look at before they carry out a command, and what they answer if it is not as it should be.

The spec has no table of errors, so every VMM has its own. These rows follow the sources of QEMU 10 and 11
(virtio-gpu.c, -virgl.c, -rutabaga.c), of crosvm with rutabaga and of libkrun from the summer of 2026, and of
vhost-device-gpu with virglrenderer from July 2026. They were read, not run.
"""

from typing import NamedTuple

from vgpu_wire.control import CtrlType

VMMS = ("QEMU 2D", "QEMU virgl", "QEMU rutabaga", "crosvm, libkrun", "vhost-device-gpu")
QEMU_2D, QEMU_VIRGL, QEMU_RUTABAGA, CROSVM, VHOST = VMMS

OK = CtrlType.RESP_OK_NODATA
UN = CtrlType.RESP_ERR_UNSPEC
OOM = CtrlType.RESP_ERR_OUT_OF_MEMORY
SC = CtrlType.RESP_ERR_INVALID_SCANOUT_ID
RID = CtrlType.RESP_ERR_INVALID_RESOURCE_ID
CTX = CtrlType.RESP_ERR_INVALID_CONTEXT_ID
PAR = CtrlType.RESP_ERR_INVALID_PARAMETER

#: what a VMM answers, with a remark if there is something to say. OK: the success response of the command, although
#: something is wrong. None: it cannot happen there, or nobody knows.
Answer = CtrlType | tuple[CtrlType, str] | None

UNCHECKED = (OK, "not checked")
#: the renderer refuses, and QEMU does not look at its return value
IGNORED = (OK, "the renderer refuses, which is ignored")
RENDERER = (UN, "the renderer refuses")


class Check(NamedTuple):
    """One thing that can be wrong with some commands. answers: one for each of VMMS. look: how it comes to that, and
    where to look."""

    commands: tuple[CtrlType, ...]
    wrong: str
    answers: tuple[Answer, Answer, Answer, Answer, Answer]
    look: str

    def of(self, vmm: str) -> tuple[CtrlType, str] | None:
        """The VMM's answer and the remark."""
        answer = self.answers[VMMS.index(vmm)]
        return (answer, "") if isinstance(answer, CtrlType) else answer


_3D = frozenset(number for number in CtrlType if 0x200 <= number < 0x300)
_CAPSETS = {CtrlType.GET_CAPSET_INFO, CtrlType.GET_CAPSET}
_BLOBS = frozenset(
    {
        CtrlType.RESOURCE_CREATE_BLOB,
        CtrlType.SET_SCANOUT_BLOB,
        CtrlType.RESOURCE_MAP_BLOB,
        CtrlType.RESOURCE_UNMAP_BLOB,
    }
)

#: VMM -> the commands that it does not have: it answers RESP_ERR_UNSPEC, and no other check is made
LACKS: dict[str, frozenset[CtrlType]] = {
    QEMU_2D: _3D | _CAPSETS | {CtrlType.RESOURCE_ASSIGN_UUID},
    QEMU_VIRGL: frozenset({CtrlType.RESOURCE_ASSIGN_UUID}),
    QEMU_RUTABAGA: frozenset({CtrlType.RESOURCE_ASSIGN_UUID, CtrlType.SET_SCANOUT_BLOB}),
}
LACKS_LOOK = (
    "The device behind this VMM does not have the command, and did not offer its feature. Look at the feature bits "
    "that were negotiated, and at which device it is: virtio-gpu-pci is 2D only, virtio-gpu-gl-pci has the 3D commands."
)
#: VMM -> the commands that end it, instead of being answered
PANICS: dict[str, frozenset[CtrlType]] = {VHOST: _BLOBS}
