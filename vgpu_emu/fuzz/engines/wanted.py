"""The defect that the environment asks for. Processes that an engine starts have the same environment."""

import os
import sys
from collections.abc import Sequence
from typing import TypeVar

from vgpu_emu.fuzz.defect import DefectError, made, plant
from vgpu_emu.fuzz.defects.loading import load

T = TypeVar("T")
#: a name, or path/to/file.py:NAME
DEFECT = "VGPU_EMU_DEFECT"


def wanted(*seams: str) -> Sequence[type]:
    """What is to be planted into a target that has these seams.

    One that cannot be loaded, or has none of them, ends the process with 2, after one line.
    """
    name = os.environ.get(DEFECT)
    if not name:
        return ()
    try:
        return (load(name, seams),)
    except DefectError as error:
        print(f"{DEFECT}: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def planted(defects: Sequence[type], seam: str, live: T) -> T:
    """What new objects of the defects make of a live object: they begin anew with each input."""
    return plant(made(defects), seam, live)
