"""The virtio-gpu device: takes descriptor chains, gives used chains. No I/O, no clock: value in, value out.

`Device.handle` is a generator that yields its questions to the renderer. A command is a function of the device and the
request; it returns the response, or is a generator that does. What a request does wrong is found by `require`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from vgpu_emu.ids import ContextId, ResourceId
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.trace.log import VMM, Log
from vgpu_emu.vmm.asking import ERRNO_RULES, Steps, ask
from vgpu_emu.vmm.profiles import UNCHECKED, Profile
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vmm.state import Blob, DeviceLimits
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import Feature
from vgpu_wire.errors import WireError
from vgpu_wire.messages import MESSAGES
from vgpu_wire.renderer_link import Answer, Question

_HEADER = CtrlHdr.layout.size
_FENCE, _RING = CtrlFlag.FENCE.value, CtrlFlag.INFO_RING_IDX.value
#: what is echoed of a request that has no header
_NO_HEADER = CtrlHdr()
OK = HeaderOnly(type=CtrlType.RESP_OK_NODATA.value)


class Refused(Exception):  # noqa: N818 - the guest's error, not ours
    """The request breaks a rule: this is the response."""

    def __init__(self, rule: Rule, response: CtrlType) -> None:
        super().__init__(rule.broken)
        self.rule = rule
        self.response = response


class Command(NamedTuple):
    """What carries out a request. feature: it must have been negotiated; None: no feature is needed."""

    handler: "Callable[[Device, Any], CtrlHdr | Steps[CtrlHdr]]"
    feature: Feature | None = None


class Device:
    """features: what was negotiated. dialect: the posting that the VMM was built against. region: where blobs go."""

    def __init__(
        self,
        profile: Profile,
        region: HostVisibleRegion,
        *,
        features: Iterable[Feature],
        dialect: Dialect,
        log: Log,
        commands: Mapping[CtrlType, Command],
        limits: DeviceLimits | None = None,
    ) -> None:
        self.profile = profile
        self.region = region
        self.features = frozenset(features)
        self.dialect = dialect
        self.log = log
        self.commands: Mapping[int, Command] = {number.value: command for number, command in commands.items()}
        self.limits = limits or DeviceLimits()
        self.contexts: set[ContextId] = set()
        self.resources: dict[ResourceId, Blob] = {}
        self.blob_bytes = 0

    def handle(self, chain: Chain) -> Steps[Used]:
        """Carry out one request. Any bytes are answered; the answer is cut to the chain's capacity."""
        header: CtrlHdr = _NO_HEADER
        try:
            command, header = self._parse(chain.readable)
            response = command.handler(self, header)
            if not isinstance(response, CtrlHdr):
                response = yield from response
        except Refused as refused:
            self.log.note(VMM, "refused", rule=refused.rule.name, response=refused.response.name)
            response = HeaderOnly(type=refused.response.value)
            if header is _NO_HEADER and len(chain.readable) >= _HEADER:
                header = CtrlHdr.parse(chain.readable[:_HEADER])
        if header.flags & _FENCE:
            response = _fenced(response, header)
        written = response.build()
        if len(written) > chain.capacity:
            self.log.note(VMM, "truncated", size=len(written), capacity=chain.capacity)
            written = written[: chain.capacity]
        return Used(chain.head, chain.queue, written)

    def _parse(self, data: bytes) -> tuple[Command, CtrlHdr]:
        """The request and what carries it out. Bytes behind its structure are ignored, as in every VMM."""
        if len(data) < _HEADER:
            raise self._broken(Rule.HEADER_WHOLE)
        number = int.from_bytes(data[:4], "little")
        command = self.commands.get(number)
        if command is None:
            raise self._broken(Rule.COMMAND_KNOWN)
        self.require(command.feature is None or command.feature in self.features, Rule.COMMAND_NEGOTIATED)
        structure = MESSAGES[number]
        try:
            return command, structure.parse(data)
        except WireError as error:
            if error.kind == "trailing":
                return command, structure.parse(data[: error.offset])
            self.log.note(VMM, "malformed", detail=str(error))
            raise self._broken(Rule.REQUEST_WHOLE) from None

    # -- for commands

    def require(self, holds: object, rule: Rule) -> None:
        """Go on if the rule holds or the profile does not check it; else the command ends with the profile's answer."""
        if not holds and self.profile.verdict(rule) is not UNCHECKED:
            raise self._broken(rule)

    def resource(self, resource_id: int, rule: Rule) -> Blob:
        """The resource of this id; if there is none, the command ends with the profile's answer to `rule`."""
        blob = self.resources.get(ResourceId(resource_id))
        if blob is None:
            raise self._broken(rule)
        return blob

    def call(self, question: Question) -> Steps[Answer]:
        """Ask the renderer; if it refuses, so does the command."""
        answer = yield from ask(question)
        if answer.errno:
            self.log.note(VMM, "renderer_refused", errno=answer.errno)
            self.require(False, ERRNO_RULES.get(answer.errno, Rule.RENDERER_WORKS))
        return answer

    def _broken(self, rule: Rule) -> Refused:
        verdict = self.profile.verdict(rule)
        assert verdict is not UNCHECKED, f"{rule} cannot be left unchecked"
        return Refused(rule, verdict)


def _fenced(response: CtrlHdr, request: CtrlHdr) -> CtrlHdr:
    """The response of a fenced request, error or not: flag and fence_id are echoed, and with them the timeline."""
    flags = request.flags & (_FENCE | _RING)
    ring_idx = request.ring_idx if flags & _RING else 0
    return replace(response, flags=flags, fence_id=request.fence_id, ctx_id=request.ctx_id, ring_idx=ring_idx)
