"""Oracles on what the driver shows: who holds the pictures, and what the device shows of them."""

from collections.abc import Iterator

from vgpu_emu.fuzz.bench import Bench
from vgpu_emu.guest.outputs import Output

#: an oracle and what is wrong
Wrongs = Iterator[tuple[str, str]]


def shown(bench: Bench) -> Wrongs:
    """After a call."""
    outputs = bench.driver.outputs
    yield from _references(bench, outputs)
    if bench.meddled or bench.host.has_failed or bench.driver.in_flight:
        return
    bench.judge.evaluated["I13"] += 1
    for output, display in zip(outputs, bench.world.scanouts, strict=False):
        if output.primary.framebuffer is None and display.shown is not None:
            yield "I13", f"display {output.index} is to show nothing, and shows resource {display.shown[0]}"
        if output.cursor.framebuffer is None and display.cursor[4]:
            yield "I13", f"display {output.index} is to have no cursor, and has resource {display.cursor[4]}"


def _references(bench: Bench, outputs: list[Output]) -> Wrongs:
    """Framebuffers are their files' and those planes' that show them; foreign memory stays where it is shown."""
    # there are few: lists are counted faster than Counters are made
    planes = [plane.framebuffer for output in outputs for plane in (output.primary, output.cursor)]
    for framebuffer in bench.guest.framebuffers:
        if framebuffer.refs != (held := 1 + planes.count(framebuffer)):
            yield "I12", f"a framebuffer counts {framebuffer.refs} references, and {held} hold it"
    pins = [getattr(framebuffer.gem, "attached_to", None) for framebuffer in planes if framebuffer is not None]
    for foreign in bench.guest.foreign:
        if foreign.pins != (times := pins.count(foreign)):
            yield "I12", f"a foreign dma-buf is pinned {foreign.pins} times, and shown {times} times"
    descriptors = bench.guest.dma_bufs
    for dma_buf in descriptors:
        if dma_buf.refs != (count := descriptors.count(dma_buf)):
            yield "I12", f"a dma-buf counts {dma_buf.refs} references, and {count} descriptors are open"
