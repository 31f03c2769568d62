"""What a device holds: resources, contexts, what is mapped; and what commands do with it, by the rules of a profile."""

from collections.abc import Callable
from typing import NoReturn

from vgpu_emu.ids import ContextId, ResourceId
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.memory import PAGE_SIZE, Memory
from vgpu_emu.trace.log import VMM, Log
from vgpu_emu.vmm.asking import ERRNO_RULES, Steps, ask, close
from vgpu_emu.vmm.command import DeviceDead, Refused, ending
from vgpu_emu.vmm.displays import Displays
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.rules import UNCHECKED, Rule
from vgpu_emu.vmm.state import Blob, Context, Image, Resource
from vgpu_wire.blob import BlobMem
from vgpu_wire.renderer_link import Answer, Op, Question, ResourceQuestion


class Holdings:
    """What requests have made, and how it ends.

    What a request does wrong is found by `require`; a rule is looked up only when it is broken, to save time on the
    way of every frame.
    """

    def __init__(self, profile: Profile, region: HostVisibleRegion, displays: Displays, log: Log) -> None:
        self.profile = profile
        self.region = region
        self.displays = displays
        self.log = log
        self.resources: dict[ResourceId, Resource] = {}
        self.contexts: dict[ContextId, Context] = {}
        #: the resource, the context of an id that came from the wire
        self.find: Callable[[int], Resource | None] = self.resources.get  # type: ignore[assignment]
        self.find_context: Callable[[int], Context | None] = self.contexts.get  # type: ignore[assignment]
        self.image_bytes = 0
        self.blob_bytes = 0

    def require(self, holds: object, rule: Rule) -> None:
        """Go on if the rule holds or the profile does not check it; else the command ends with the profile's answer."""
        if not holds and self.profile.verdict(rule) is not UNCHECKED:
            raise self.broken(rule)

    def insist(self, holds: object, rule: Rule) -> None:
        """As `require`, where the command cannot go on: of a VMM that does not look, it ends with RESP_OK_NODATA."""
        if not holds:
            raise self.broken(rule)

    def resource(self, resource_id: int, rule: Rule) -> Resource:
        """The resource of this id; if there is none, the command ends with the profile's answer to `rule`."""
        return self.find(resource_id) or self.missing(rule)

    def missing(self, rule: Rule) -> NoReturn:
        """There is no such thing: the command ends with the profile's answer to `rule`."""
        raise self.broken(rule)

    def call(self, question: Question) -> Steps[Answer]:
        """Ask the renderer; if it refuses, so does the command."""
        answer = yield from ask(question)
        if answer.errno:
            self.log.note(VMM, "renderer_refused", errno=answer.errno)
            self.require(False, ERRNO_RULES.get(answer.errno, Rule.RENDERER_WORKS))
        return answer

    def show(self, blob: Blob, offset: int, memory: Memory) -> None:
        """Put a blob into the region, where nothing is. What sticks out of the region, or does not start on a page, is
        for no guest to see: a VMM that did not look has mapped it somewhere else."""
        fits = 0 if offset % PAGE_SIZE else min(blob.mapped_length, self.region.size - offset) & -PAGE_SIZE
        if fits != blob.mapped_length:
            self.log.note(VMM, "mapped_outside", resource_id=blob.resource_id, offset=offset, size=blob.size)
        if fits > 0:
            self._map(offset, fits, memory)
        blob.offset = offset

    def _map(self, offset: int, length: int, memory: Memory) -> None:
        """mmap, and what comes of it; if the kernel refuses, the command ends."""
        try:
            self.region.map(offset, length, memory)
        except OSError as refused:
            self.log.note(VMM, "mmap_failed", errno=refused.errno)
            raise self.broken(ERRNO_RULES.get(refused.errno or 0, Rule.RENDERER_WORKS)) from refused

    def unmap(self, blob: Blob) -> None:
        """Take a blob out of the region, if it is there, and whatever was mapped over it."""
        if blob.offset is not None:
            self.region.cut(blob.offset, blob.mapped_length)
            blob.offset = blob.map_info = None

    def forget_image(self, image: Image) -> None:
        """An image ends; the renderer has not heard of it."""
        self._forget_id(image.resource_id)
        self.image_bytes -= len(image.pixels)

    def _forget_id(self, resource_id: ResourceId) -> None:
        del self.resources[resource_id]
        self.displays.forget(resource_id)
        for context in self.contexts.values():
            context.attached.discard(resource_id)

    def forget(self, resource: Resource) -> Steps[None]:
        """A resource ends: nothing refers to it any more, here or in the renderer."""
        if isinstance(resource, Image):
            self.forget_image(resource)
            return
        self._forget_id(resource.resource_id)
        self.blob_bytes -= resource.size
        if self.profile.unref_unmaps:
            self.unmap(resource)
        if resource.exported is not None:
            yield from close((resource.exported,))
        if resource.blob_mem is not BlobMem.GUEST:
            yield from ask(ResourceQuestion(op=Op.UNREF.value, resource_id=resource.resource_id))

    def broken(self, rule: Rule) -> Refused | DeviceDead:
        """How a command ends that breaks the rule and cannot go on."""
        return ending(self.profile, rule)
