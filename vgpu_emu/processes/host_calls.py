"""The calls that the host's process answers. Each names what it returns."""

import msgspec

from vgpu_emu.host.setup import HostSetup
from vgpu_emu.processes.messages import Result
from vgpu_wire.blob import MapCache


class Assemble(msgspec.Struct, frozen=True, tag="assemble"):
    """Be this host. watched: tell of every dma-buf. size_only: its memory has no bytes."""

    setup: HostSetup
    watched: bool
    size_only: bool


class Handle(msgspec.Struct, frozen=True, tag="handle"):
    """Renderer.handle -> bytes, and descriptors"""

    data: bytes
    now: float


class Due(msgspec.Struct, frozen=True, tag="due"):
    """Rings.due -> the signals as bytes"""

    now: float


class AttributeOf(msgspec.Struct, frozen=True, tag="attribute_of"):
    """How the exporter maps the resource's buffer -> HostAttribute; None: there is no such resource."""

    resource_id: int


class Borrow(msgspec.Struct, frozen=True, tag="borrow"):
    """The memory of a resource, for an observer -> nothing, and one descriptor. OSError: EBADF if there is none."""

    resource_id: int


class Observe(msgspec.Struct, frozen=True, tag="observe"):
    """What there is, for an observer -> Observed"""


class Observed(msgspec.Struct, frozen=True):
    """Ids of all resources and contexts; inodes of all dma-bufs; the VMM's descriptors."""

    resources: list[int]
    contexts: list[int]
    dma_bufs: list[int]
    vmm_fds: list[int]


class Change(msgspec.Struct, frozen=True, tag="change"):
    """The host is not what it was: the exporter of a resource, the renderer's guess, the kernel's limit. OSError: EBADF
    for a resource that is not there."""

    exporter: tuple[int, str] | None = None
    guess: MapCache | None = None
    max_fds: int | None = None


class VmmExit(msgspec.Struct, frozen=True, tag="vmm_exit"):
    """The VMM's process is gone: the kernel closes its descriptors."""


class Die(msgspec.Struct, frozen=True, tag="die"):
    """Renderer.die"""


class Left(msgspec.Struct, frozen=True, tag="left"):
    """What is not closed -> sentences"""


class Insides(msgspec.Struct, frozen=True, tag="insides"):
    """Of the process, not of the party -> the names of all modules that are loaded, the paths of all open files"""


class Exit(msgspec.Struct, frozen=True, tag="exit"):
    """Renderer.exit -> sentences about what is left after it"""


Call = Assemble | Handle | Due | AttributeOf | Borrow | Observe | Change | VmmExit | Die | Left | Insides | Exit


class HostResult(Result, frozen=True, kw_only=True):
    """next_due: when the host has to be asked for signals; None: it has none to give."""

    next_due: float | None = None
