"""The device: without any I/O, behind a batch, with a million mappings, and moving pixels."""

import time
from typing import Any

import trio
from msgspec.structs import replace

from benchmarks.harness import Benchmark, cost_ratio, loop
from benchmarks.pipeline import ROOMY, ping_pong
from vgpu_emu.assembly import Config
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.machine import open_machine
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, CURSORQ
from vgpu_wire.display import CursorPos, Rect, ResourceFlush, SetScanout, UpdateCursor
from vgpu_wire.render import CtxCreate, CtxResource
from vgpu_wire.resource import Format, MemEntry, ResourceAttachBacking, ResourceCreate2D, TransferToHost2D

PAGE = 4096


def _ok(machine: Lockstep, request: CtrlHdr) -> None:
    used = machine.submit(Chain(0, CONTROLQ, request.build(), PAGE))
    assert used is not None
    assert used.written[1:2] == b"\x11", request


def _framebuffer(machine: Lockstep, width: int, height: int, entries: list[MemEntry]) -> None:
    """Resource 1, on the first scanout."""
    _ok(machine, ResourceCreate2D(resource_id=1, format=Format.B8G8R8X8_UNORM.value, width=width, height=height))
    _ok(machine, ResourceAttachBacking(resource_id=1, nr_entries=len(entries), entries=entries))
    _ok(machine, SetScanout(r=Rect(width=width, height=height), resource_id=1))


#: what a driver sends for a frame: pixels and pointer, and what a 3D client's next buffer takes
FRAME: tuple[CtrlHdr, ...] = (
    TransferToHost2D(r=Rect(x=64, y=7, width=64, height=1), offset=(7 * 640 + 64) * 4, resource_id=1),
    ResourceFlush(r=Rect(x=64, y=7, width=64, height=1), resource_id=1),
    SetScanout(r=Rect(width=640, height=480), resource_id=1),
    UpdateCursor(type=CtrlType.MOVE_CURSOR.value, pos=CursorPos(x=10, y=20)),
    CtxResource(type=CtrlType.CTX_ATTACH_RESOURCE.value, ctx_id=1, resource_id=1),
    CtxResource(type=CtrlType.CTX_DETACH_RESOURCE.value, ctx_id=1, resource_id=1),
)


def _sans_io() -> float:
    machine = Lockstep()
    _framebuffer(machine, 640, 480, [MemEntry(addr=PAGE, length=640 * 480 * 4)])
    _ok(machine, CtxCreate(ctx_id=1))
    chains = [Chain(n, CURSORQ if r.type >= 0x300 else CONTROLQ, r.build(), 24) for n, r in enumerate(FRAME)]
    log = machine.log
    handle: Any = machine.parts.device.handle
    assert all(isinstance(handle(chain), Used) for chain in chains)
    assert not list(log.notes("refused"))

    def frames() -> float:
        log.clear()
        request, answer = log.request, log.answer
        start = time.process_time()
        for _ in range(500):
            for chain in chains:
                request(chain)
                answer(handle(chain))
        return (time.process_time() - start) / (500 * len(chains))

    return 1 / cost_ratio(frames, lambda: trio.run(ping_pong, 500), 40)


# -- batches

KICK = 64


async def _attach(number: int, batch: int) -> float:
    """CPU seconds for one of `number` commands, sent `batch` by batch: built, parsed, carried out, logged, answered."""
    request = CtxResource(type=CtrlType.CTX_ATTACH_RESOURCE.value, ctx_id=1, resource_id=1)
    async with open_machine() as machine:
        image = ResourceCreate2D(resource_id=1, format=Format.B8G8R8X8_UNORM.value, width=1, height=1)
        for first in (image, CtxCreate(ctx_id=1)):
            await machine.run(machine.driver.command(first))
        port = machine.port
        answers: list[HeaderOnly] = []
        start = time.process_time()
        for _ in range(number // batch):
            port.send([Chain(head, CONTROLQ, request.build(), 24) for head in range(batch)])
            answers = [HeaderOnly.parse(used.written) for used in await port.receive()]
        seconds = (time.process_time() - start) / number
        assert [answer.type for answer in answers] == [CtrlType.RESP_OK_NODATA] * batch
        return seconds


def _batch() -> float:
    """A command with all its checks costs a fourteenth of a kick, and no batch can save that: 12 is the most there is.

    Without device and log, just the codec on both sides of the link, it is 14 to 16.
    """
    one, many = (lambda: trio.run(_attach, 640, 1)), (lambda: trio.run(_attach, 100 * KICK, KICK))
    return 1 / cost_ratio(many, one, 25)


# -- many mappings


class _Mapped:
    """A device with this many mapped blobs of one page. A run of it unmaps one and maps it again, here and there."""

    def __init__(self, live: int) -> None:
        self.machine = Lockstep(replace(ROOMY, opaque_renderer=True))
        self.live = live
        _ok(self.machine, CtxCreate(ctx_id=1))
        for n in range(1, live + 1):
            blob = ResourceCreateBlob(
                ctx_id=1,
                resource_id=n,
                blob_mem=BlobMem.HOST3D.value,
                blob_flags=BlobFlag.USE_MAPPABLE.value,
                blob_id=n,
                size=PAGE,
            )
            _ok(self.machine, blob)
            _ok(self.machine, self._map(n))
            self.machine.log.clear()

    def _map(self, resource_id: int) -> CtrlHdr:
        return ResourceMapBlob(resource_id=resource_id, offset=(resource_id - 1) * PAGE)

    def __call__(self) -> float:
        self.machine.log.clear()
        # a stride that meets all of them, in no order that a cache would like
        ids = [1 + n * 7919 % self.live for n in range(500)]
        pairs = [(ResourceUnmapBlob(resource_id=n).build(), self._map(n).build()) for n in ids]
        start = time.process_time()
        for unmap, map_again in pairs:
            self.machine.submit(Chain(0, CONTROLQ, unmap, 32))
            self.machine.submit(Chain(0, CONTROLQ, map_again, 32))
        seconds = (time.process_time() - start) / len(pairs)
        assert len(self.machine.parts.region) == self.live
        return seconds


def _scale() -> float:
    return cost_ratio(_Mapped(1_000_000), _Mapped(100), 15)


# -- pixels


def _transfer() -> float:
    """1920x1080, in the 32 stretches that Linux makes of the pages of such a framebuffer when it merges neighbours."""
    size, stretches = 1920 * 1080 * 4, 32
    machine = Lockstep(Config(guest_memory=64 << 20))
    part = -(-size // stretches // PAGE) * PAGE
    entries = [MemEntry(addr=n * 2 * part, length=min(part, size - n * part)) for n in range(stretches)]
    _framebuffer(machine, 1920, 1080, entries)
    chain = Chain(0, CONTROLQ, TransferToHost2D(r=Rect(width=1920, height=1080), resource_id=1).build(), 24)
    # pages that nobody wrote are all one page, and come from the cache
    machine.parts.memory.write(0, b"\x55" * (2 * size))
    target, source = memoryview(bytearray(size)), memoryview(b"\x55" * size)

    def copy() -> None:
        target[:] = source

    return 1 / cost_ratio(loop(lambda: machine.submit(chain), 16), loop(copy, 16), 40)


BENCHMARKS = [
    Benchmark("sans-io", "rate of a frame's commands, logged, without I/O / a ping-pong", 12.0, "higher", _sans_io),
    Benchmark("batch", f"rate of commands, {KICK} a kick / 1 a kick, codec on both sides", 20.0, "higher", _batch),
    Benchmark("scale", "UNMAP + MAP of a blob, 1e6 mapped / 1e2 mapped", 3.0, "lower", _scale),
    Benchmark("transfer", "rate of a 1080p TRANSFER_TO_HOST_2D / memcpy", 0.5, "higher", _transfer),
]
