"""A guest user's mapping of a blob: where it is, how it is cached, and the bytes."""

from errno import EFAULT
from typing import TYPE_CHECKING

from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.trace.log import GUEST
from vgpu_emu.vocabulary import Pgprot

if TYPE_CHECKING:
    from vgpu_emu.guest.driver import Op
    from vgpu_emu.guest.vram import VramObject


class Vma:
    """struct vm_area_struct: `length` bytes of a blob in the region, from its byte `pgoff` on, mapped with `pgprot`."""

    def __init__(self, vram: "VramObject", region: HostVisibleRegion, pgoff: int, length: int, pgprot: Pgprot) -> None:
        assert vram.node is not None, "it is in the region"
        self.vram = vram
        self.region = region
        self.start = vram.node + pgoff
        self.pgoff = pgoff
        self.length = length
        self.pgprot = pgprot
        self.live = True

    def read(self, offset: int, length: int) -> bytes:
        """Load bytes. Raises OSError: EFAULT outside of the mapping, after munmap, or where the VMM has nothing."""
        self._check(offset, length)
        return self.region.read(self.start + offset, length)

    def write(self, offset: int, data: bytes) -> None:
        """Store bytes. Raises OSError like `read`."""
        self._check(offset, len(data))
        self.region.write(self.start + offset, data)

    def munmap(self) -> "Op[None]":
        """Nothing is sent for it: only the reference to the object is given back, and the last one frees that."""
        if self.live:
            self.live = False
            self.vram.driver.log.note(GUEST, "munmap", resource_id=self.vram.resource_id, **self.part())
            yield from self.vram.put()

    def part(self) -> dict[str, int]:
        """For the log: pgoff and length in bytes, or nothing, which is all of the blob."""
        return {} if self.length == self.vram.size else {"pgoff": self.pgoff, "length": self.length}

    def _check(self, offset: int, length: int) -> None:
        if not self.live or not 0 <= offset <= offset + length <= self.length:
            raise OSError(
                EFAULT, f"[{offset:#x}, +{length:#x}) of a mapping of {self.length if self.live else 0:#x} bytes"
            )
