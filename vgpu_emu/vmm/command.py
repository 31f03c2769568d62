"""What a command is, and the ways in which one can end."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from vgpu_emu.vmm.asking import Steps
from vgpu_emu.vmm.profiles import DEAD, Profile
from vgpu_emu.vmm.rules import UNCHECKED, Rule
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, Feature

if TYPE_CHECKING:
    from vgpu_emu.vmm.device import Device

OK = HeaderOnly(type=CtrlType.RESP_OK_NODATA.value)


class Refused(Exception):  # noqa: N818 - the guest's error, not ours
    """The request breaks a rule: this is the response."""

    def __init__(self, rule: Rule, response: CtrlHdr) -> None:
        super().__init__(rule.broken)
        self.rule = rule
        self.response = response


class DeviceDead(Exception):  # noqa: N818 - what happens to the VMM that is modelled
    """The VMM that this profile models panics here: the device answers nothing any more."""


Handler = Callable[["Device", Any], "CtrlHdr | Steps[CtrlHdr]"]


class Command(NamedTuple):
    """What carries out a request. feature: `gate` says that it must have been negotiated; None: none is needed."""

    handler: Handler
    feature: Feature | None = None
    queue: int = CONTROLQ
    gate: Rule = Rule.COMMAND_NEGOTIATED


class Capset(NamedTuple):
    """A capability set: its highest version, and its bytes, which only the renderer's protocol explains."""

    version: int
    data: bytes


def ending(profile: Profile, rule: Rule) -> Refused | DeviceDead:
    """How a command ends that breaks the rule and cannot go on."""
    verdict = profile.verdict(rule)
    if verdict is DEAD:
        return DeviceDead(rule.name)
    if verdict is UNCHECKED:
        return Refused(rule, OK)
    return Refused(rule, HeaderOnly(type=verdict.value) if isinstance(verdict, CtrlType) else verdict)
