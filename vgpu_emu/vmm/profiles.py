"""What a profile is: a list of differences from ``strict``, as data. The profiles themselves are in `catalogue`."""

from collections.abc import Collection, Mapping
from enum import Enum
from typing import Literal

import msgspec

from vgpu_emu.vmm.rules import BESIDE_TABLE, Rule, Unchecked
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.render import CONTEXT_INIT_CAPSET_ID_MASK


class Dead(Enum):
    """The VMM panics: after this the device answers nothing any more."""

    DEAD = "device dead"


DEAD = Dead.DEAD
#: an error or, for what a VMM silently ignores, RESP_OK_NODATA; a whole response; or what else happens
Verdict = CtrlType | CtrlHdr | Unchecked | Dead


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """name: as on the command line. models: whose behaviour this is.

    correct: whether it claims that every map_info it sends is right.
    differs: rule -> answer, where it is not strict's.
    unverified: rules whose answer was decided here, as nobody has seen or read it; see docs/profiles.md.
    offers: the features that the VMM can offer. lacks: commands that it does not have.
    dead_commands: commands at which the VMM panics, whatever they say.
    unref_unmaps: whether RESOURCE_UNREF of a mapped blob unmaps it; if not, the mapping stays behind.
    exports_move: whether the dma-buf of a blob that is neither shareable nor cross-device is gone with its mapping.
    shareable_is_guest: whether blob_flags of just USE_SHAREABLE make a guest blob, whatever blob_mem says.
    scanout_ids: SET_SCANOUT takes ids below this; None: those of the scanouts that there are.
    capset_id_mask: the part of ctx_create.context_init that is taken for a capset id.
    cursor_answers: whether cursorq requests are answered with bytes; if not, with a used length of 0.
    echoed_flags: which of a fenced request's flags its answer has.
    forgets_fence: rules whose refusal loses the fence.
    errors_wait: whether the refusal of a fenced request waits for the fences before it; if not, it is answered at once.
    answers_at_once: commands that succeed without waiting for the fence that they ask for.
    uuid_of: how RESOURCE_ASSIGN_UUID names a resource: ``random`` or ``resource_id`` (big endian, in bytes 12..15).
    """

    name: str
    models: str
    correct: bool = False
    differs: Mapping[Rule, Verdict] = msgspec.field(default_factory=dict)
    unverified: frozenset[Rule] = frozenset()
    offers: frozenset[Feature] = frozenset(Feature)
    lacks: frozenset[CtrlType] = frozenset()
    dead_commands: frozenset[CtrlType] = frozenset()
    unref_unmaps: bool = True
    exports_move: bool = False
    shareable_is_guest: bool = False
    scanout_ids: int | None = None
    capset_id_mask: int = CONTEXT_INIT_CAPSET_ID_MASK
    cursor_answers: bool = True
    echoed_flags: int = int(CtrlFlag.FENCE | CtrlFlag.INFO_RING_IDX)
    forgets_fence: frozenset[Rule] = frozenset()
    errors_wait: bool = True
    answers_at_once: frozenset[CtrlType] = frozenset()
    uuid_of: Literal["random", "resource_id"] = "random"

    @property
    def maps_host_blobs(self) -> bool:
        """Whether its VMM takes RESOURCE_CREATE_BLOB of HOST3D and RESOURCE_MAP_BLOB at all."""
        needed = {CtrlType.RESOURCE_CREATE_BLOB, CtrlType.RESOURCE_MAP_BLOB}
        return {Feature.VIRGL, Feature.RESOURCE_BLOB} <= self.offers and not needed & (self.lacks | self.dead_commands)

    def verdict(self, rule: Rule) -> Verdict:
        return self.differs.get(rule, rule.strict)


def by_answer(*groups: tuple[Verdict, Collection[Rule]]) -> dict[Rule, Verdict]:
    """Rule -> answer, of answers and the rules that get them. Raises ValueError for a rule with two."""
    found: dict[Rule, Verdict] = {}
    for verdict, rules in groups:
        twice = [rule.name for rule in rules if rule in found]
        if twice:
            raise ValueError(f"two answers to {', '.join(twice)}")
        found |= dict.fromkeys(rules, verdict)
    return found


def not_verified(but: Collection[Rule] = (), also: Collection[Rule] = ()) -> frozenset[Rule]:
    """The rules that the table of conditions does not have, and those where it has no answer (`also`), less those whose
    answer was read or seen elsewhere (`but`)."""
    return (BESIDE_TABLE - frozenset(but)) | frozenset(also)
