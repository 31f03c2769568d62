"""x86-64: what a range register or a second stage makes of a page's type, and what Linux makes of a request.

EFFECTIVE is the SDM's table "Effective Page-Level Memory Types" (vol 3, 11.5.2.2). All 30 cells were compared with
Xen's mm_type_tbl (xen/arch/x86/hvm/mtrr.c) and the rows UC, WC and WP with public scans of the SDM. AMD's own table may
differ for {WT, WP} over WC, which nothing here reaches (general knowledge).
"""

import errno
import os
from enum import Enum

from vgpu_emu.attributes.derivation import Effective
from vgpu_emu.attributes.x86 import MemoryType

UC, UC_MINUS, WC = MemoryType.UC, MemoryType.UC_MINUS, MemoryType.WC
WT, WB, WP = MemoryType.WT, MemoryType.WB, MemoryType.WP

_COLUMNS = (UC, UC_MINUS, WC, WT, WB, WP)
_ROWS = {
    UC: (UC, UC, WC, UC, UC, UC),
    WC: (UC, WC, WC, UC, WC, UC),
    WT: (UC, UC, WC, WT, WT, WP),
    WB: (UC, UC, WC, WT, WB, WP),
    WP: (UC, WC, WC, WT, WP, WP),
}
#: (MTRR or EPT type, PAT type) -> effective type
EFFECTIVE = {(base, pat): result for base, row in _ROWS.items() for pat, result in zip(_COLUMNS, row, strict=True)}


def effective_type(memory_type: MemoryType) -> Effective:
    """A combined type by its common name. UC- is no effective type: combined, it has become UC or WC."""
    return Effective(memory_type.name)


class Firmware(Enum):
    """Who set up the guest's MTRRs."""

    SEABIOS = "seabios"
    OVMF = "ovmf"


class Bar(Enum):
    """Where the firmware put the host visible region."""

    ABOVE_4G = "above-4g"
    BELOW_4G = "below-4g"


#: The guest MTRR over a memory BAR. SeaBIOS: WB by default, one range register makes the hole below 4 GiB UC
#: (src/fw/mtrr.c). OVMF: every memory BAR is added as UC, above 4 GiB too (tianocore/edk2#13129).
MTRR_OF_BAR = {
    (Firmware.SEABIOS, Bar.ABOVE_4G): WB,
    (Firmware.SEABIOS, Bar.BELOW_4G): UC,
    (Firmware.OVMF, Bar.ABOVE_4G): UC,
    (Firmware.OVMF, Bar.BELOW_4G): UC,
}


def lowered(request: MemoryType, mtrr: MemoryType) -> MemoryType:
    """The type Linux uses for a request (pat_x_mtrr_type): WB where the MTRR is not WB becomes UC-, the rest stays."""
    return UC_MINUS if request is WB and mtrr is not WB else request


#: (wanted, already there): a mapping fails rather than take over these (is_new_memtype_allowed, asm/pgtable.h)
_NOT_INHERITED = {(UC_MINUS, WB), (WC, WB), (WT, WB), (WT, WC)}


def reserve(request: MemoryType, mtrr: MemoryType, existing: MemoryType | None = None) -> MemoryType:
    """The type a guest mmap of a PCI range gets (memtype_reserve, then reserve_pfn_range).

    `existing`: the type of a live mapping of the same range, which is taken over silently where that is allowed. Raises
    OSError(EINVAL) where it is not.
    """
    given = lowered(request, mtrr) if existing is None else existing
    if given is not request and (request, given) in _NOT_INHERITED:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return given
