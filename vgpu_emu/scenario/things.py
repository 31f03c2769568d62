"""What names stand for in a running scenario, and what it is if they make no sense."""

from typing import TYPE_CHECKING, Any

import msgspec

from vgpu_emu.guest.file import DrmFile
from vgpu_emu.ids import BlobId, GemHandle

if TYPE_CHECKING:
    from vgpu_emu.guest.gem import GemObject


class StepError(Exception):
    """The scenario asks for what cannot be done, as the decoder could not know. member: of the step."""

    def __init__(self, member: str, detail: str) -> None:
        super().__init__(detail)
        self.member = member


class Allocation(msgspec.Struct, frozen=True):
    """Memory that a context's command stream allocated: an object of the context, not yet a resource."""

    file: DrmFile
    blob_id: BlobId
    size: int


class Object(msgspec.Struct, frozen=True, eq=False):
    """A GEM object, by a handle of a file."""

    file: DrmFile
    handle: GemHandle
    gem: "GemObject"
    pitch: int = 0

    @property
    def resource_id(self) -> int:
        """Chosen by the driver."""
        return self.gem.resource_id


class Sync(msgspec.Struct, frozen=True):
    """A sync object, by a handle of a file."""

    file: DrmFile
    handle: int


def resource_of(thing: Any) -> int | None:
    """The resource behind an object, a mapping, a framebuffer or a dma-buf."""
    gem = getattr(thing, "gem", None) or getattr(thing, "vram", None)
    return None if gem is None else int(gem.resource_id)
