"""Where a VMM is known to differ from the reference: of such a request, and of what comes after it, nothing is said.

The reference is strict. What a profile says that its VMM does otherwise is seen when it happens: by the rule that the
device looked up, or by what the request asks for.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import asdict, replace

from vgpu_emu.fuzz.model.case import Case
from vgpu_emu.fuzz.model.expectation import Expected
from vgpu_emu.fuzz.model.expectation import Verdict as Wanted
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.model.world import World
from vgpu_emu.link.chain import Chain
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.profiles import DEAD, Profile, Verdict
from vgpu_emu.vmm.rules import Rule
from vgpu_wire.blob import BlobFlag
from vgpu_wire.control import FIRST_ERROR, CtrlHdr, CtrlType
from vgpu_wire.errors import WireError
from vgpu_wire.messages import MESSAGES

REFUSE = Wanted.REFUSE
_SHARED = int(BlobFlag.USE_SHAREABLE | BlobFlag.USE_CROSS_DEVICE)


class Differs(Exception):  # noqa: N818 - nothing is wrong
    """The VMM does something else now than the reference, as it is known to do."""


class Watched(Profile, frozen=True, kw_only=True):
    """A profile that knows which rules were looked up whose outcome is another than strict's, or loses the fence."""

    seen: set[Rule]

    def verdict(self, rule: Rule) -> Verdict:
        found = super().verdict(rule)
        if _succeeds(found) != _succeeds(rule.strict) or rule in self.forgets_fence:
            self.seen.add(rule)
        return found


def _succeeds(verdict: Verdict) -> bool | None:
    """None: the VMM is dead."""
    if isinstance(verdict, CtrlHdr | CtrlType):
        return (verdict.type if isinstance(verdict, CtrlHdr) else verdict) < FIRST_ERROR
    return None if verdict is DEAD else True


class Differences:
    """Of one VMM, while it is running. profile: what it is to be made of."""

    def __init__(self, profile: Profile) -> None:
        self.profile = Watched(**asdict(profile), seen=set())

    def setup(self, setup: Setup) -> Setup:
        """With the features that the VMM offers."""
        offers = sum(1 << feature for feature in self.profile.offers)
        return replace(setup, features=setup.features & offers)

    def asked(self, world: World, case: Case, chain: Chain) -> bool:
        """Before the device has the request: whether it asks for what this VMM does otherwise."""
        profile, number = self.profile, case.number
        if number in profile.dead_commands:
            return True
        if number in profile.lacks and case.expected.verdict is not REFUSE:
            # nothing of the reference has changed before the answer, but what a command stream did
            case.expected = Expected(REFUSE, "the VMM does not have it", "I5")
            return number == CtrlType.SUBMIT_3D
        if case.fence_id is not None and number in profile.answers_at_once:
            return True
        look = _LOOKS.get(number)
        if look is None:
            return False
        # what is behind the structure is ignored
        structure, data = MESSAGES[number], chain.readable
        try:
            return look(profile, world, structure.parse(data))
        except WireError as error:
            return error.kind == "trailing" and look(profile, world, structure.parse(data[: error.offset]))

    def happened(self, device: Device) -> bool:
        """After it: whether the VMM answered by a rule of its own, or is dead."""
        return bool(self.profile.seen) or device.dead is not None


def _unref(profile: Profile, world: World, request: Any) -> bool:
    """A mapping stays behind."""
    resource = world.resources.get(request.resource_id)
    return not profile.unref_unmaps and resource is not None and resource.offset is not None


def _unmap(profile: Profile, world: World, request: Any) -> bool:
    """The dma-buf is gone with the mapping."""
    resource = world.resources.get(request.resource_id)
    return profile.exports_move and resource is not None and not resource.blob_flags & _SHARED


def _create_blob(profile: Profile, _world: World, request: Any) -> bool:
    """It becomes a blob of the guest."""
    return profile.shareable_is_guest and int(request.blob_flags) == BlobFlag.USE_SHAREABLE


def _set_scanout(profile: Profile, world: World, request: Any) -> bool:
    """Of a scanout that is not there."""
    return len(world.scanouts) <= int(request.scanout_id) < (profile.scanout_ids or 0)


def _ctx_create(profile: Profile, _world: World, request: Any) -> bool:
    """A part of context_init is not looked at."""
    return bool(request.context_init & ~profile.capset_id_mask)


_LOOKS: dict[int, Callable[[Profile, World, Any], bool]] = {
    CtrlType.RESOURCE_UNREF.value: _unref,
    CtrlType.RESOURCE_UNMAP_BLOB.value: _unmap,
    CtrlType.RESOURCE_CREATE_BLOB.value: _create_blob,
    CtrlType.SET_SCANOUT.value: _set_scanout,
    CtrlType.CTX_CREATE.value: _ctx_create,
}
