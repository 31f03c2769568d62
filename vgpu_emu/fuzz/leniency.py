"""What is not held against a device whose limits and renderer nobody knows, and who is like it (its profile)."""

from typing import NamedTuple

from msgspec.structs import replace

from vgpu_emu.fuzz.actions import Elapse
from vgpu_emu.fuzz.attending import FIRST_RAW
from vgpu_emu.fuzz.core import Core
from vgpu_emu.fuzz.differing import Differs
from vgpu_emu.fuzz.model.case import Case, Finding
from vgpu_emu.fuzz.model.commands import COMMANDS
from vgpu_emu.fuzz.model.expectation import Verdict, any_payload
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.passage import Wire
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.vmm.profiles import Profile
from vgpu_wire.control import FIRST_ERROR, CtrlType
from vgpu_wire.device import Feature

#: of refusals for want of room, the beginnings: a device has what limits it has
_ROOM = ("no room for", "more entries than", "more bytes than", "too many fences")
#: of what a renderer refuses: another one may not
_RENDERER = ("the renderer ", "the context has no such object", "nobody can say how it may be mapped")
#: requests that change nothing, whatever is answered
QUESTIONS = {
    CtrlType.GET_DISPLAY_INFO.value,
    CtrlType.GET_EDID.value,
    CtrlType.GET_CAPSET_INFO.value,
    CtrlType.GET_CAPSET.value,
}
_NO_MEMORY = CtrlType.RESP_ERR_OUT_OF_MEMORY.value


class Known(NamedTuple):
    """streams: the device's renderer is ours. passes_edid_on: it answers GET_EDID as the front-end says."""

    streams: bool
    passes_edid_on: bool


def relax(case: Case, known: Known, answer: int) -> None:
    """Where the reference cannot know better than the device, either is right. answer: its type; 0: unseen."""
    expected = case.expected
    is_of_renderer = not known.streams and _feature(case.number) is Feature.VIRGL
    if case.number == CtrlType.GET_EDID and known.passes_edid_on:
        case.expected, case.lenient = replace(expected, verdict=Verdict.OPEN), True
    elif case.number == CtrlType.GET_CAPSET:
        case.expected = replace(expected, payload=any_payload)
    elif is_of_renderer or (not known.streams and expected.why.startswith(_RENDERER)):
        case.expected, case.lenient = replace(expected, verdict=Verdict.OPEN), True
    elif expected.verdict is Verdict.REFUSE and expected.why.startswith((*_ROOM, *_RENDERER)):
        case.expected = replace(expected, verdict=Verdict.OPEN)
    elif expected.verdict is Verdict.MUST and answer == _NO_MEMORY:
        case.lenient = True


def _feature(number: int) -> Feature | None:
    command = COMMANDS.get(number)
    return None if command is None else command.feature


class Likeness:
    """Our own device with the profile of the other, which is given the same requests: what it is known to do otherwise
    than the reference, it does here, too."""

    def __init__(self, setup: Setup, profile: Profile) -> None:
        self._heard = _Heard()
        self._core = Core(setup, profile=profile)
        self._core.wire = self._heard
        self._count = FIRST_RAW

    def close(self) -> None:
        self._core.close()

    @property
    def is_dead(self) -> bool:
        """The VMM that it is like has ended itself."""
        return self._core.parts.device.dead is not None

    def differs(self, chain: Chain) -> bool:
        """Whether this request has an answer that the reference does not know, or what comes of it is unknown."""
        self._count += 1
        self._heard.last = None
        try:
            self._core.submit(Chain(self._count, chain.queue, bytes(chain.readable), chain.capacity))
            self._core.elapse(Elapse(10_000_000))
        except (Differs, Finding):
            return True
        return self._core.judge.unsure

    def succeeds(self) -> bool | None:
        """Whether it has done what was asked last; None: it has not said."""
        return None if self._heard.last is None else succeeds(self._heard.last.written)


def succeeds(written: bytes) -> bool | None:
    """None: the answer has no type."""
    return int.from_bytes(written[:4], "little") < FIRST_ERROR if len(written) >= 4 else None


class _Heard(Wire):
    """last: the last answer."""

    last: Used | None = None

    def used(self, used: Used) -> list[Used]:
        self.last = used
        return [used]
