"""The whole way of RESOURCE_MAP_BLOB against the smallest thing that trio can do with two tasks."""

import time
from collections.abc import Awaitable, Callable

import trio

from benchmarks.harness import Benchmark, quiet
from vgpu_emu.assembly import Config, size_only
from vgpu_emu.guest.file import HINT_DEFER_MAPPING, DrmFile
from vgpu_emu.host.renderer import RendererLimits
from vgpu_emu.ids import ResourceId
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_wire.blob import MapCache, ResourceMapBlob, RespMapInfo
from vgpu_wire.context_stream import ExporterKind, StreamAlloc

MANY = 1 << 21
#: room for a million blobs without bytes
ROOMY = Config(
    backing=size_only,
    host_visible=1 << 40,
    max_fds=MANY,
    device_limits=DeviceLimits(resources=MANY, blob_bytes=1 << 50),
    renderer_limits=RendererLimits(objects=MANY, host_memory=1 << 50),
)


async def ping_pong(number: int) -> float:
    """CPU seconds for one round trip through two channels without buffers."""
    there_send, there = trio.open_memory_channel[bytes](0)
    back_send, back = trio.open_memory_channel[bytes](0)

    async def echo() -> None:
        async for message in there:
            await back_send.send(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(echo)
        start = time.process_time()
        for _ in range(number):
            await there_send.send(b"")
            await back.receive()
        seconds = (time.process_time() - start) / number
        nursery.cancel_scope.cancel()
    return seconds


async def _blobs(machine: Machine, number: int) -> list[ResourceId]:
    """Resource ids of new blobs that are not mapped yet."""
    file = DrmFile(machine.driver)
    resources = []
    for blob_id in range(1, number + 1):
        cmd = StreamAlloc(exporter=ExporterKind.WC.value, blob_id=blob_id, size=4096).build()
        create = file.resource_create_blob(size=4096, blob_id=blob_id, cmd=cmd, blob_hints=HINT_DEFER_MAPPING)
        resources.append(file.object(await machine.run(create)).resource_id)
    await machine.settle()
    return resources


async def _map_blob(number: int) -> float:
    """CPU seconds for one RESOURCE_MAP_BLOB: built, sent, asked about, mapped, answered, parsed, all of it logged."""
    async with open_machine(ROOMY) as machine:
        resources = await _blobs(machine, number)
        start = time.process_time()
        for place, resource_id in enumerate(resources):
            request = ResourceMapBlob(resource_id=resource_id, offset=place * 4096)
            answer = await machine.run(machine.driver.command(request, RespMapInfo.layout.size))
            assert RespMapInfo.parse(answer).map_info == MapCache.WC.value
        return (time.process_time() - start) / number


def _alternate(candidate: Callable[[int], Awaitable[float]], baseline: Callable[[int], Awaitable[float]]) -> float:
    import statistics

    ratios = []
    with quiet():
        for _ in range(25):
            base = trio.run(baseline, 1000)
            ratios.append(base / trio.run(candidate, 500))
    return statistics.median(ratios)


BENCHMARKS = [
    Benchmark(
        "map-blob",
        "rate of RESOURCE_MAP_BLOB over the four hops / a two-task ping-pong",
        0.40,
        "higher",
        lambda: _alternate(_map_blob, ping_pong),
    )
]
