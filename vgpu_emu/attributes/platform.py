"""Hosts and guests by name.

platform("amd", firmware=Firmware.OVMF).derive(Pgprot.WRITECOMBINE).effective
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Protocol

from vgpu_emu.attributes.arm64_kvm import Arm64Guest
from vgpu_emu.attributes.derivation import Backing, Derivation, Effective
from vgpu_emu.attributes.kvm_amd import AmdKvm
from vgpu_emu.attributes.kvm_intel import IntelKvm
from vgpu_emu.attributes.mtrr import Bar, Firmware
from vgpu_emu.attributes.riscv import Encoding, RiscvGuest
from vgpu_emu.attributes.x86_guest import X86Guest
from vgpu_emu.vocabulary import HostAttribute, Pgprot


class Model(Protocol):
    """What an architecture must be able to answer."""

    @property
    def family(self) -> str: ...
    @property
    def page_sizes(self) -> tuple[int, ...]: ...
    @property
    def self_snoop(self) -> bool: ...
    def host_views(self, attribute: HostAttribute) -> tuple[Effective, Effective] | None: ...
    def derive(self, pgprot: Pgprot, gpa: int | None, backing: Backing, page: int) -> Derivation: ...


_MODELS: dict[str, Model] = {
    "intel": X86Guest(IntelKvm()),
    "intel-guest-pat": X86Guest(IntelKvm().without_quirk()),
    "amd": X86Guest(AmdKvm()),
    "arm64": Arm64Guest(fwb=False),
    "arm64-fwb": Arm64Guest(fwb=True),
    "riscv-svpbmt": RiscvGuest(Encoding.SVPBMT),
    "riscv": RiscvGuest(Encoding.NONE),
}
PLATFORMS = tuple(_MODELS)


@dataclass(frozen=True)
class Platform:
    """One host and one guest. firmware, bar: None where they do not matter, which is everywhere but on x86.

    host_page, guest_page: bytes of a page of each kernel.
    """

    name: str
    model: Model
    firmware: Firmware | None
    bar: Bar | None
    host_page: int
    guest_page: int

    def derive(self, pgprot: Pgprot, gpa: int | None = None, backing: Backing = Backing.RAM) -> Derivation:
        """What the guest's `pgprot` becomes here.

        gpa: the page's guest physical address; None: the start of the region. Raises ValueError for an address that no
        page of the guest can have.
        """
        return self.model.derive(pgprot, gpa, backing, self.guest_page)

    def host_views(self, attribute: HostAttribute) -> tuple[Effective, Effective] | None:
        """How the exporter's CPU mapping and its GPU see such a buffer; None: an exporter that does not tell.

        A GPU behind a write-combined or INCOHERENT buffer is taken for one that does not snoop: that is why its driver
        chose the attribute.
        """
        return self.model.host_views(attribute)

    def check_blob(self, offset: int, length: int) -> None:
        """Whether the VMM can put a blob at `offset` of the region: it maps host pages, whatever the guest's are.

        Raises OSError(EINVAL), as mmap with MAP_FIXED does: a guest with smaller pages asks for such places unless
        VIRTIO_GPU_F_BLOB_ALIGNMENT tells it not to.
        """
        if offset % self.host_page or length % self.host_page or length <= 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def platform(
    name: str,
    *,
    firmware: Firmware | None = None,
    bar: Bar | None = None,
    host_page: int = 4096,
    guest_page: int = 4096,
) -> Platform:
    """The platform called `name`, one of PLATFORMS.

    On x86 firmware is SEABIOS and bar ABOVE_4G unless given; elsewhere both are ignored. Raises ValueError for an
    unknown name, or a page size the architecture has not.
    """
    model = _MODELS.get(name)
    if model is None:
        raise ValueError(f"no platform is called {name!r}; there are {', '.join(PLATFORMS)}")
    for size in (host_page, guest_page):
        if size not in model.page_sizes:
            raise ValueError(f"{name} has no pages of {size} bytes, only {', '.join(map(str, model.page_sizes))}")
    if not isinstance(model, X86Guest):
        return Platform(name, model, None, None, host_page, guest_page)
    placed = model.placed(firmware, bar)
    return Platform(name, placed, placed.firmware, placed.bar, host_page, guest_page)


def variants(name: str) -> Iterator[Platform]:
    """The platform with every firmware and every place of the region, where they matter; else once."""
    if isinstance(_MODELS.get(name), X86Guest):
        for firmware, bar in product(Firmware, Bar):
            yield platform(name, firmware=firmware, bar=bar)
    else:
        yield platform(name)
