"""Oracles on what the driver shows: who holds the pictures, and what the device shows of them."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vgpu_emu.guest.outputs import Output

if TYPE_CHECKING:
    from vgpu_emu.fuzz.bench import Bench

#: an oracle and what is wrong
Wrongs = Iterator[tuple[str, str]]


def shown(bench: "Bench") -> Wrongs:
    """After a call."""
    outputs = bench.driver.outputs
    yield from _references(bench, outputs)
    if bench.meddled or bench.host.has_failed or bench.driver.in_flight:
        return
    for output, display in zip(outputs, bench.world.scanouts, strict=False):
        if output.primary.framebuffer is None and display.shown is not None:
            yield "I13", f"display {output.index} is to show nothing, and shows resource {display.shown[0]}"
        if output.cursor.framebuffer is None and display.cursor[4]:
            yield "I13", f"display {output.index} is to have no cursor, and has resource {display.cursor[4]}"


def _references(bench: "Bench", outputs: list[Output]) -> Wrongs:
    """Framebuffers are their files' and those planes' that show them; foreign memory stays where it is shown."""
    planes = Counter(plane.framebuffer for output in outputs for plane in (output.primary, output.cursor))
    for framebuffer in bench.guest.framebuffers:
        if framebuffer.refs != 1 + planes[framebuffer]:
            yield "I12", f"a framebuffer counts {framebuffer.refs} references, and {1 + planes[framebuffer]} hold it"
    pins = Counter(getattr(f.gem, "attached_to", None) for f in planes.elements() if f is not None)
    for foreign in bench.guest.foreign:
        if foreign.pins != pins[foreign]:
            yield "I12", f"a foreign dma-buf is pinned {foreign.pins} times, and shown {pins[foreign]} times"
    descriptors = Counter(bench.guest.dma_bufs)
    for dma_buf, count in descriptors.items():
        if dma_buf.refs != count:
            yield "I12", f"a dma-buf counts {dma_buf.refs} references, and {count} descriptors are open"
