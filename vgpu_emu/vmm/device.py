"""The virtio-gpu device: takes descriptor chains, gives used chains. No I/O, no clock: value in, value out.

`Device.handle` gives the answer or, where the renderer is needed for it, a generator that yields questions. A command
is a function of the device and the request; it returns the response, or is a generator that does.
"""

from collections.abc import Mapping
from math import lcm
from typing import NoReturn

from msgspec.structs import replace

from vgpu_emu.ids import BlobId
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.memory import PAGE_SIZE
from vgpu_emu.trace.log import VMM, Log
from vgpu_emu.vmm.asking import Steps, ask
from vgpu_emu.vmm.command import OK, Capset, Command, DeviceDead, Refused
from vgpu_emu.vmm.displays import Displays
from vgpu_emu.vmm.entries import DONE, closed, tables
from vgpu_emu.vmm.fences import GLOBAL, Fences, Timeline
from vgpu_emu.vmm.holdings import Holdings
from vgpu_emu.vmm.misfits import fit
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.rules import UNCHECKED, Rule
from vgpu_emu.vmm.state import Blob, DeviceLimits
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.blob import MapCache, ResourceMapBlob
from vgpu_wire.control import FIRST_ERROR, RING_COUNT, CtrlFlag, CtrlHdr, CtrlType
from vgpu_wire.device import CURSORQ, FEATURE_NEEDS, Config, Feature
from vgpu_wire.errors import WireError
from vgpu_wire.messages import type_name
from vgpu_wire.renderer_link import Op, Question

_HEADER = CtrlHdr.layout.size
#: where the low byte of the flags is
_FLAGS_AT = 4
_FENCE, _RING = CtrlFlag.FENCE.value, CtrlFlag.INFO_RING_IDX.value


class Device(Holdings):
    """A device behind two queues.

    region: where blobs are mapped. memory: the guest's. dialect: the posting that the VMM was built against.
    displays: its scanouts. capsets: by id, in the order of their indices. blob_alignment: bytes, a power of two.
    map_infos: the answers for these blob ids, instead of a question to the exporter.
    """

    def __init__(
        self,
        profile: Profile,
        region: HostVisibleRegion,
        memory: GuestMemory,
        *,
        dialect: Dialect,
        log: Log,
        commands: Mapping[CtrlType, Command],
        displays: Displays,
        capsets: Mapping[int, Capset],
        blob_alignment: int = 1,
        map_infos: Mapping[BlobId, MapCache] | None = None,
        limits: DeviceLimits | None = None,
    ) -> None:
        super().__init__(profile, region, displays, log)
        self.memory = memory
        self.dialect = dialect
        #: by the first four bytes of a request; those at which the modelled VMM panics are not there
        self._entries, self._needs = tables(profile, commands)
        self.capsets = capsets
        self.blob_alignment = blob_alignment
        self.map_infos = map_infos or {}
        self.limits = limits or DeviceLimits()
        self.features = frozenset()
        self.fences = Fences()
        #: the rule or command at which the modelled VMM panicked
        self.dead: str | None = None
        #: why the device has set DEVICE_NEEDS_RESET: the driver broke its rings. Nothing is answered until `reset`
        self.needs_reset: str | None = None

    @property
    def features(self) -> frozenset[Feature]:
        """What was negotiated."""
        return self._features

    @features.setter
    def features(self, features: frozenset[Feature]) -> None:
        self._features = features
        # looked up once, not with every request: hashing an enum member runs Python code
        self._closed = closed(self._needs, features)
        #: bytes that sizes of blobs, and offsets of mappings, are multiples of; an alignment of 0 asks for none
        self.size_alignment = (self.blob_alignment or 1) if Feature.BLOB_ALIGNMENT in features else 1
        self.map_alignment = lcm(PAGE_SIZE, self.size_alignment)

    def negotiate(self, features: frozenset[Feature]) -> bool:
        """The driver accepts these. False: FEATURES_OK stays clear, as one was not offered or lacks what it needs."""
        accepted = self.takes(features)
        if accepted:
            self.features = features
        return accepted

    def takes(self, features: frozenset[Feature]) -> bool:
        """All of them are offered, and none lacks what it needs."""
        return features <= self.profile.offers and all(FEATURE_NEEDS.get(f, f) in features for f in features)

    @property
    def config(self) -> Config:
        """The configuration space as the driver reads it now; what a feature brings is 0 if it is not offered."""
        capsets = len(self.capsets) if Feature.VIRGL in self.profile.offers else 0
        alignment = self.blob_alignment if Feature.BLOB_ALIGNMENT in self.profile.offers else 0
        return self.displays.config(capsets, alignment)

    @property
    def silent(self) -> bool:
        """The modelled VMM panicked, or the driver broke its rings: nothing is answered any more."""
        return self.dead is not None or self.needs_reset is not None

    # -- requests

    def handle(self, chain: Chain) -> Used | Steps[Used | None] | None:
        """Carry out one request: the used chain, or steps that ask the renderer and return it.

        Any bytes are answered; the answer is cut to the chain's capacity. None: it has to wait for a fence, and
        `signal` gives it later; or the device is dead.
        """
        # as `silent`, without a call
        if self.dead is not None or self.needs_reset is not None:
            return None
        data = chain.readable
        key = data[:4]
        try:
            parse, handler, gate, queue, done = self._entries.get(key) or self._unknown(data)
            if queue != chain.queue:
                self._unknown(data)
            if key in self._closed:
                self.require(len(data) >= _HEADER, Rule.HEADER_WHOLE)
                self.require(False, gate)
            try:
                request = parse(data)
            except WireError as error:
                request = fit(self, data, error)
            flags = request.flags
            if flags:
                self._check_flags(request)
            response = handler(self, request)
        except (Refused, DeviceDead) as end:
            return self._end(chain, end)
        except OSError as gone:
            self.log.note(VMM, "memory_gone", detail=str(gone))
            return self._end(chain, self.broken(Rule.MEMORY_THERE))
        if response is OK and not flags and chain.capacity >= _HEADER:
            return Used(chain.head, queue, done)
        if isinstance(response, CtrlHdr):
            return self._answer(chain, request, response)
        return self._finish(chain, request, response)

    def _finish(self, chain: Chain, request: CtrlHdr, steps: Steps[CtrlHdr]) -> Steps[Used | None]:
        """The rest of a request that asks the renderer."""
        answer: Used | Steps[Used | None] | None
        try:
            response = yield from steps
        except (Refused, DeviceDead) as end:
            answer = self._end(chain, end)
        else:
            answer = self._answer(chain, request, response)
        return answer if answer is None or isinstance(answer, Used) else (yield from answer)

    def _answer(self, chain: Chain, request: CtrlHdr, response: CtrlHdr) -> Used | Steps[Used | None]:
        """The used chain; of a fenced request that has to wait, steps that find out how long."""
        if not request.flags & _FENCE:
            return self._used(chain, response)
        used = self._used(chain, self._fenced(response, request))
        timeline = (request.ctx_id, request.ring_idx) if request.flags & _RING else GLOBAL
        if not self.fences.waits(timeline) or request.type in self.profile.answers_at_once:
            return used
        return self._wait(chain, request, timeline, used)

    def _wait(self, chain: Chain, request: CtrlHdr, timeline: Timeline, used: Used) -> Steps[Used | None]:
        answer = yield from self.fences.ask(timeline, request.fence_id)
        if answer.errno and self.profile.verdict(Rule.FENCE_MADE) is not UNCHECKED:
            end = self.broken(Rule.FENCE_MADE)
            if isinstance(end, DeviceDead):
                self._die(end)
                return None
            self._note(end)
            used = self._used(chain, self._fenced(end.response, request))
        if answer.value and not answer.errno:
            self.fences.park(timeline, request.fence_id, used)
            return None
        if not answer.errno:
            self.fences.idle(timeline)
        return None if self.fences.follow(timeline, used) else used

    def signal(self, timeline: Timeline, fence_id: int) -> list[Used]:
        """The renderer signals a fence: the used chains that the driver may now see, in their order."""
        if self.silent:
            return []
        return self.fences.signal(timeline, fence_id)

    def fail(self, reason: str) -> None:
        """DEVICE_NEEDS_RESET (virtio 1.4, 2.1.2). Linux's drm/virtio does not recover from that by itself."""
        if self.needs_reset is not None:
            return
        self.needs_reset = reason
        self.log.note(VMM, "needs_reset", reason=reason)

    def reset(self) -> Steps[None]:
        """The driver writes 0 to the device's status: everything is gone, and nothing that was due is answered."""
        # at once: a fence may be signalled while the renderer is asked
        self.fences.clear()
        for resource in list(self.resources.values()):
            yield from self.forget(resource)
        yield from ask(Question(op=Op.RESET.value))
        self.contexts.clear()
        self.displays.reset()
        # what a VMM left mapped when its blob ended
        self.region.clear()
        self.features = frozenset()
        self.needs_reset = None

    def _check_flags(self, request: CtrlHdr) -> None:
        self.require(not request.flags & _RING or request.ring_idx < RING_COUNT, Rule.RING_IDX_VALID)
        self.require(not request.flags & _FENCE or self.fences.count < self.limits.fences, Rule.FENCE_LIMIT)

    def _unknown(self, data: bytes) -> NoReturn:
        """No command has this type, or the modelled VMM panics at it."""
        if len(data) < _HEADER:
            raise self.broken(Rule.HEADER_WHOLE)
        number = int.from_bytes(data[:4], "little")
        if number in self.profile.dead_commands:
            raise DeviceDead(type_name(number))
        raise self.broken(Rule.COMMAND_KNOWN)

    def take_back(self, chain: Chain) -> Used | Steps[Used | None] | None:
        """The VMM could not show the guest what this chain, a RESOURCE_MAP_BLOB, has mapped: the answer."""
        blob = self.find(ResourceMapBlob.parse(chain.readable[: ResourceMapBlob.layout.size]).resource_id)
        if isinstance(blob, Blob):
            self.unmap(blob)
        return self._end(chain, self.broken(Rule.RENDERER_WORKS))

    # -- responses

    def _used(self, chain: Chain, response: CtrlHdr) -> Used:
        if chain.queue == CURSORQ and not self.profile.cursor_answers:
            return Used(chain.head, chain.queue, b"")
        written = DONE if response is OK else response.build()
        if len(written) > chain.capacity:
            self.log.note(VMM, "truncated", size=len(written), capacity=chain.capacity)
            written = written[: chain.capacity]
        return Used(chain.head, chain.queue, written)

    def _end(self, chain: Chain, end: Refused | DeviceDead) -> Used | Steps[Used | None] | None:
        if isinstance(end, Refused):
            return self._refuse(chain, end)
        self._die(end)
        return None

    def _refuse(self, chain: Chain, refused: Refused) -> Used | Steps[Used | None]:
        """An error, too, is answered in the order of its timeline: Linux takes every fence up to it for signalled."""
        response, data = refused.response, chain.readable
        self._note(refused)
        # most have no fence, and are not parsed again for that
        fenced = len(data) >= _HEADER and data[_FLAGS_AT] & _FENCE
        if not fenced or refused.rule in self.profile.forgets_fence:
            return self._used(chain, response)
        header = CtrlHdr.parse(data[:_HEADER])
        if self.profile.errors_wait and self.fences.count < self.limits.fences:
            return self._answer(chain, header, response)
        return self._used(chain, self._fenced(response, header))

    def _note(self, refused: Refused) -> None:
        name = "refused" if refused.response.type >= FIRST_ERROR else "ignored"
        self.log.note(VMM, name, rule=refused.rule.name, response=type_name(refused.response.type))

    def _fenced(self, response: CtrlHdr, request: CtrlHdr) -> CtrlHdr:
        """The response of a fenced request, error or not: flag and fence_id are echoed, and with them the timeline."""
        flags = request.flags & self.profile.echoed_flags
        ring_idx = request.ring_idx if flags & _RING else 0
        return replace(response, flags=flags, fence_id=request.fence_id, ctx_id=request.ctx_id, ring_idx=ring_idx)

    def _die(self, death: DeviceDead) -> None:
        self.dead = str(death)
        self.log.note(VMM, "device_dead", profile=self.profile.name, at=self.dead)
