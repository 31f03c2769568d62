"""What a host is made of: a record that can be sent to the process that is to be it."""

from collections.abc import Callable

import msgspec

from vgpu_emu.host.dmabuf import MAX_FDS, Kernel
from vgpu_emu.host.renderer import Renderer, RendererLimits
from vgpu_emu.memory import Memory
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.blob import MapCache


class HostSetup(msgspec.Struct, frozen=True, kw_only=True):
    """posting: of the series that the kernel carries; None: none of it. The rest: see Kernel and Renderer."""

    posting: Dialect | None = None
    max_fds: int = MAX_FDS
    guess: MapCache = MapCache.CACHED
    limits: RendererLimits = msgspec.field(default_factory=RendererLimits)
    opaque: bool = False
    tagged: bool = False

    def kernel(self) -> Kernel:
        return Kernel(self.posting, max_fds=self.max_fds)

    def renderer(self, kernel: Kernel, backing: Callable[[int, str], Memory] = Memory.memfd) -> Renderer:
        return Renderer(
            kernel,
            guess=self.guess,
            backing=backing,
            limits=self.limits,
            opaque=self.opaque,
            tagged=self.tagged,
        )
