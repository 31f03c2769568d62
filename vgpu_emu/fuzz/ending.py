"""An oracle on the end of the driver's objects: what the device may still use is nobody else's until it answers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vgpu_emu.fuzz.model.case import Finding
from vgpu_wire.blob import ResourceMapBlob
from vgpu_wire.control import CtrlType
from vgpu_wire.resource import ResourceUnref

if TYPE_CHECKING:
    from vgpu_emu.fuzz.bench import Bench

_MAP, _UNREF = (kind.value.to_bytes(4, "little") for kind in (CtrlType.RESOURCE_MAP_BLOB, CtrlType.RESOURCE_UNREF))


class Endings:
    """Of one driver's resources, by what it sends."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        #: resource -> where it was to be mapped
        self._places: dict[int, int] = {}

    def sends(self, bench: "Bench", data: bytes) -> None:
        """The driver makes a request available, so that no answer to it is there. Raises Finding."""
        kind = data[:4]
        if kind == _MAP:
            request = ResourceMapBlob.parse(data)
            self._places[request.resource_id] = request.offset
        elif kind == _UNREF:
            self._ends(bench, ResourceUnref.parse(data).resource_id)

    def _ends(self, bench: "Bench", number: int) -> None:
        bench.judge.evaluated["I14", "I9"] += 1
        place = self._places.pop(number, None)
        if place is not None and place not in bench.driver.mm.nodes:
            raise Finding("I14", f"the place of resource {number}, {place:#x}, is free, and its end not answered")
        for start in () if bench.meddled else _freed(bench, number):
            raise Finding("I9", f"page {start:#x} of resource {number} is free, and its end not answered")


def _freed(bench: "Bench", number: int) -> Iterator[int]:
    """Where memory that the device has of a resource begins, if the guest has it to give away."""
    there = bench.world.resources.get(number)
    for start, length in (there and there.stretches) or ():
        if any(first < start + length and start < last for first, last in bench.driver.pages._free):
            yield start
