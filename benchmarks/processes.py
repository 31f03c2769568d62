"""Real memory: its life, and its way into another process, against the bare system calls."""

import fcntl
import mmap
import os
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.harness import Benchmark, cost_ratio, loop, quiet
from vgpu_emu.assembly import Config
from vgpu_emu.link.seqpacket import Seqpacket
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.memory import Memory
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlHdr
from vgpu_wire.render import CmdSubmit, CtxCreate
from vgpu_wire.resource import ResourceUnref

SIZE = 1 << 20


def raw_pass(end: socket.socket, fd: int) -> None:
    socket.send_fds(end, [b"fd"], [fd])
    end.recv(16)


def raw_serve(end: socket.socket) -> None:
    while True:
        data, fds, _, _ = socket.recv_fds(end, 16, 1)
        if not data:
            return
        with mmap.mmap(fds[0], SIZE) as pages:
            pages[0] = 1
        os.close(fds[0])
        end.send(b"ok")


def our_pass(link: Seqpacket, fd: int) -> None:
    link.send(b"fd", [fd])
    link.receive()


def our_serve(link: Seqpacket) -> None:
    while True:
        try:
            incoming = link.receive()
        except EOFError:
            return
        memory = Memory.received(incoming.fds[0])
        memory.map()[0] = 1
        memory.release()
        link.send(b"ok")


@contextmanager
def _other_process(serve: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """A socket to a process that does this."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if not child:
        ours.close()
        serve(theirs)
        os._exit(0)
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        os.waitpid(child, 0)


def _hand_over() -> float:
    """Wall time, as half of it is the other process's."""
    memory = Memory.memfd(SIZE, "benchmark")
    fd = memory.fileno or -1
    ratios = []
    with (
        # all on one CPU
        quiet(),
        _other_process(raw_serve) as raw,
        _other_process(lambda end: our_serve(Seqpacket(end))) as end,
    ):
        link = Seqpacket(end, 10.0)
        for _ in range(40):
            bare = _wall(lambda: raw_pass(raw, fd))
            ratios.append(_wall(lambda: our_pass(link, fd)) / bare)
    memory.release()
    return statistics.median(ratios)


def _wall(work: Callable[[], object], number: int = 300) -> float:
    start = time.perf_counter()
    for _ in range(number):
        work()
    return (time.perf_counter() - start) / number


def raw_life() -> None:
    fd = os.memfd_create("raw", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.truncate(fd, SIZE)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    with mmap.mmap(fd, SIZE) as pages:
        pages[0] = 1
    os.close(fd)


def memory_life() -> None:
    memory = Memory.memfd(SIZE, "ours")
    memory.map()[0] = 1
    memory.release()


def _blob_life() -> float:
    """All that a blob is: allocated, created, mapped, touched by the guest, unmapped and gone; by five commands."""
    stream = StreamAlloc(exporter=ExporterKind.WC.value, blob_id=1, size=SIZE).build()
    mappable = BlobFlag.USE_MAPPABLE.value
    commands = [
        CmdSubmit(ctx_id=1, size=len(stream), commands=stream),
        ResourceCreateBlob(
            ctx_id=1, resource_id=2, blob_mem=BlobMem.HOST3D.value, blob_flags=mappable, blob_id=1, size=SIZE
        ),
        ResourceMapBlob(resource_id=2, offset=0),
    ]
    last = [ResourceUnmapBlob(resource_id=2), ResourceUnref(resource_id=2)]
    with Lockstep(Config()) as pair:

        def send(request: CtrlHdr) -> None:
            pair.run(pair.driver.queue(request))

        def life() -> None:
            for request in commands:
                send(request)
            pair.parts.region.write(0, b"\1")
            for request in last:
                send(request)

        send(CtxCreate(ctx_id=1))
        life()
        assert not pair.parts.kernel.live
        return cost_ratio(loop(life, 200), loop(raw_life, 200), 25)


BENCHMARKS = [
    Benchmark(
        "hand-over",
        "a memfd passed, checked, mapped, touched and let go in another process / with bare send_fds and mmap",
        1.5,
        "lower",
        _hand_over,
    ),
    Benchmark(
        "memfd",
        "a Memory made, sealed, mapped, touched and released / the bare system calls",
        1.5,
        "lower",
        lambda: cost_ratio(loop(memory_life, 500), loop(raw_life, 500), 25),
    ),
    Benchmark(
        "blob-life",
        "a blob's whole life, five commands through device and renderer / the bare system calls for its memory",
        1.5,
        "lower",
        _blob_life,
    ),
]
