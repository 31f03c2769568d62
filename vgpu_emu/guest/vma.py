"""A guest user's mapping of an object: where it is, how it is cached, and the bytes."""

from errno import EFAULT
from typing import TYPE_CHECKING, Protocol

from vgpu_emu.vocabulary import Pgprot

if TYPE_CHECKING:
    from vgpu_emu.guest.gem import GemObject
    from vgpu_emu.guest.waiting import Op


class Mapped(Protocol):
    """What is mapped: the host visible region, or pages of guest memory. OSError where there is nothing."""

    def read(self, offset: int, length: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> None: ...


class Vma:
    """struct vm_area_struct: `length` bytes of an object, from its byte `pgoff` on, mapped with `pgprot`.

    vram: the object. base: where in `region` its first byte is.
    """

    def __init__(
        self, vram: "GemObject", region: Mapped, pgoff: int, length: int, pgprot: Pgprot, *, base: int = 0
    ) -> None:
        self.vram = vram
        self.region = region
        self.start = base + pgoff
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
            self.vram.unmapped(self)
            yield from self.vram.put()

    def part(self) -> dict[str, int]:
        """For the log: pgoff and length in bytes, or nothing, which is all of the object."""
        return {} if self.length == self.vram.size else {"pgoff": self.pgoff, "length": self.length}

    def _check(self, offset: int, length: int) -> None:
        if not self.live or not 0 <= offset <= offset + length <= self.length:
            raise OSError(
                EFAULT, f"[{offset:#x}, +{length:#x}) of a mapping of {self.length if self.live else 0:#x} bytes"
            )
