"""What error responses mean and what commands do, in words, and what Linux makes of a failure."""

from typing import NamedTuple

from vgpu_wire.control import CtrlType as T
from vgpu_wire.device import Feature


class Response(NamedTuple):
    """An error response. look: what is always worth a look. about: what it speaks of, and the members that are one."""

    means: str
    look: str
    about: tuple[str, frozenset[str]] | None = None


RESPONSES: dict[int, Response] = {
    T.RESP_ERR_UNSPEC: Response(
        "Something is wrong, and the device does not say what.",
        "crosvm, libkrun and QEMU with rutabaga put everything that the renderer refuses into this answer, and every "
        "VMM a command that it does not know. Only the logs of the VMM and its renderer say more: -d guest_errors of "
        "QEMU, --log-level debug of crosvm, RUST_LOG=debug of vhost-device-gpu.",
    ),
    T.RESP_ERR_OUT_OF_MEMORY: Response(
        "The host has no memory for it, or a limit of the device is reached.",
        "Add up what the guest keeps alive, and compare with the VMM's limits and the host's free memory.",
    ),
    T.RESP_ERR_INVALID_SCANOUT_ID: Response(
        "The device has no scanout of this number.",
        "Scanouts are numbered from 0; the configuration space says how many there are (num_scanouts).",
        ("scanout", frozenset({"scanout_id", "scanout", "pos.scanout_id"})),
    ),
    T.RESP_ERR_INVALID_RESOURCE_ID: Response(
        "The device knows no resource of this id; to a command that creates one: the id is 0 or taken.",
        "Follow the resource_id backwards through a capture of the queue (vgpu-emu decode): created, answered with OK, "
        "not unreferenced?",
        ("resource", frozenset({"resource_id"})),
    ),
    T.RESP_ERR_INVALID_CONTEXT_ID: Response(
        "The device knows no context of this id, or could not create it.",
        "Follow the ctx_id of the header backwards through a capture of the queue: CTX_CREATE, answered with OK?",
        ("context", frozenset({"ctx_id"})),
    ),
    T.RESP_ERR_INVALID_PARAMETER: Response(
        "A value in the command is out of range for the device.",
        "Decode the request (vgpu-emu decode --offsets) and compare its members with the resource's size and with the "
        "configuration space.",
    ),
}


class Command(NamedTuple):
    """What a command does. after: what Linux does when it fails. needs: a feature without which no driver sends it."""

    does: str
    after: str = "Linux logs the failure and goes on; whoever asked for it is not told."
    needs: Feature | None = None


_WAITS = "Linux waits 5 seconds for the answer when it starts"
_DRAWS = "Linux logs the failure and goes on; the picture stays as it was."
_UNSEEN = "Linux does not look at answers on the cursor queue, and QEMU's have no bytes."
_NO_CONTEXT = "Linux logs the failure and goes on; what follows in this context fails too, or is ignored."
COMMANDS: dict[int, Command] = {
    T.GET_DISPLAY_INFO: Command("asks which displays there are", f"{_WAITS}, then goes on without."),
    T.RESOURCE_CREATE_2D: Command("makes an image on the host"),
    T.RESOURCE_UNREF: Command(
        "gives a resource back",
        "Linux takes any answer as the end of the resource, and gives its part of the host visible region away again.",
    ),
    T.SET_SCANOUT: Command("shows an image on a display", _DRAWS),
    T.RESOURCE_FLUSH: Command("says which part of a resource has new pixels", _DRAWS),
    T.TRANSFER_TO_HOST_2D: Command("copies pixels from the guest's pages to the host's image", _DRAWS),
    T.RESOURCE_ATTACH_BACKING: Command("gives the host the guest's pages of a resource"),
    T.RESOURCE_DETACH_BACKING: Command("takes the guest's pages away from the host"),
    T.GET_CAPSET_INFO: Command(
        "asks for the id and size of a capability set",
        f"{_WAITS}; without a set with an id of 1 to 63 it drops all sets, and there is no 3D.",
        Feature.VIRGL,
    ),
    T.GET_CAPSET: Command(
        "asks for a capability set", "The GET_CAPS ioctl waits 5 seconds and ends with EBUSY.", Feature.VIRGL
    ),
    T.GET_EDID: Command("asks what a display says of itself", needs=Feature.EDID),
    T.RESOURCE_ASSIGN_UUID: Command(
        "asks for a name of a resource that other virtio devices know",
        "Linux marks the object: its UUID is refused with ENODEV from now on.",
        Feature.RESOURCE_UUID,
    ),
    T.RESOURCE_CREATE_BLOB: Command(
        "makes a resource of guest pages or host memory",
        "Linux does not wait for the answer: the ioctl succeeds, and the next command on the resource fails.",
        Feature.RESOURCE_BLOB,
    ),
    T.SET_SCANOUT_BLOB: Command("shows a blob on a display", _DRAWS, Feature.RESOURCE_BLOB),
    T.CTX_CREATE: Command("makes a rendering context", _NO_CONTEXT, Feature.VIRGL),
    T.CTX_DESTROY: Command("ends a rendering context", needs=Feature.VIRGL),
    T.CTX_ATTACH_RESOURCE: Command("lets a context use a resource", _NO_CONTEXT, Feature.VIRGL),
    T.CTX_DETACH_RESOURCE: Command("takes a resource away from a context", needs=Feature.VIRGL),
    T.RESOURCE_CREATE_3D: Command("makes a texture or buffer in the renderer", needs=Feature.VIRGL),
    T.TRANSFER_TO_HOST_3D: Command("copies from the guest's pages to the renderer", _DRAWS, Feature.VIRGL),
    T.TRANSFER_FROM_HOST_3D: Command(
        "copies from the renderer to the guest's pages", "Linux goes on; the pages keep what they had.", Feature.VIRGL
    ),
    T.SUBMIT_3D: Command(
        "gives commands to the renderer",
        "Its fence completes like that of a good one, so EXECBUFFER succeeds: all that shows is what was not drawn.",
        Feature.VIRGL,
    ),
    T.RESOURCE_MAP_BLOB: Command(
        "shows a blob in the host visible region",
        "Linux marks the object for good: every mmap ends with EINVAL, it is not tried again, and its part of the "
        "region stays taken until RESOURCE_UNREF is answered.",
        Feature.RESOURCE_BLOB,
    ),
    T.RESOURCE_UNMAP_BLOB: Command(
        "takes a blob out of the host visible region",
        "Nothing follows from it in Linux: RESOURCE_UNREF comes next.",
        Feature.RESOURCE_BLOB,
    ),
    T.UPDATE_CURSOR: Command("changes the image of the cursor", _UNSEEN),
    T.MOVE_CURSOR: Command("moves the cursor", _UNSEEN),
}
