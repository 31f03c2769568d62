"""Profiles: what a VMM answers where a rule is broken. Data, each a list of differences from ``strict``."""

from collections.abc import Mapping
from enum import Enum

import msgspec

from vgpu_emu.vmm.rules import UNSPEC, Rule
from vgpu_wire.control import CtrlType


class Unchecked(Enum):
    """The VMM does not look: the command goes on as if the rule held."""

    UNCHECKED = "not checked"


UNCHECKED = Unchecked.UNCHECKED
Verdict = CtrlType | Unchecked


class Profile(msgspec.Struct, frozen=True):
    """name: as on the command line. models: whose behaviour this is. differs: rule -> answer, where not strict's.

    correct: whether it claims that every map_info it sends is right.
    """

    name: str
    models: str
    correct: bool = False
    differs: Mapping[Rule, Verdict] = msgspec.field(default_factory=dict)

    def verdict(self, rule: Rule) -> Verdict:
        return self.differs.get(rule, rule.strict)


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("strict", "the spec, with its most specific error codes", correct=True),
        Profile(
            "qemu-virgl",
            "QEMU virtio-gpu-virgl: it does not look whether the query for map_info failed, and sends NONE",
            differs={
                Rule.MAP_INFO_KNOWN: UNCHECKED,
                Rule.MAP_MAPPABLE: UNCHECKED,
                Rule.RENDERER_ACCEPTS: UNSPEC,
                Rule.RENDERER_HAS_ROOM: UNSPEC,
            },
        ),
        Profile(
            "crosvm",
            "crosvm with rutabaga: whatever the renderer refuses is UNSPEC",
            differs={Rule.RENDERER_ACCEPTS: UNSPEC, Rule.RENDERER_HAS_ROOM: UNSPEC},
        ),
    )
}
