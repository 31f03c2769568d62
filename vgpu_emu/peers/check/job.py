"""A guest on a route's device: server, QEMU and Linux are started together, and end together."""

import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import trio

from vgpu_emu.attributes.mtrr import Bar
from vgpu_emu.peers.check.blobs import BLOBS
from vgpu_emu.peers.check.boot import boot, command, listening, process
from vgpu_emu.peers.check.findings import Findings
from vgpu_emu.peers.check.routes import RAM, Route, region_size
from vgpu_emu.peers.guest.image import Image
from vgpu_emu.peers.parts.parts import Parts
from vgpu_wire.device import Feature


class Job(NamedTuple):
    """What to boot where. bar: None where there is no host visible region. logs: a folder, for all that is said.

    features: what our server is told to offer; None: nothing is said.
    """

    route: Route
    bar: Bar | None
    parts: Parts
    image: Image
    logs: Path
    features: frozenset[Feature] | None = None

    @property
    def offers(self) -> frozenset[Feature] | None:
        """What the guest's driver is to find; None: whatever the device likes."""
        most = self.route.offers
        return most if most is None or self.features is None else most & self.features


class Host(NamedTuple):
    """What may be looked at while a guest runs. server: None where QEMU needs none. qmp: the socket of its monitor."""

    server: trio.Process | None
    qmp: Path


#: told every line of the serial port; what it returns is typed in there
Listener = Callable[[Host, str], Awaitable[bytes]]


async def run_guest(job: Job, words: str, listen: Listener, patience: float) -> Findings:
    """Run a guest to its end. words: for the kernel's command line. patience: seconds it may take.

    Raises BootError.
    """
    job.logs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vgpu-peers-") as private:
        socket, qmp = Path(private) / "gpu", Path(private) / "qmp"
        async with _server(job, socket) as server:
            host = Host(server, qmp)
            qemu = command(job.parts.qemu, job.route.qemu(socket), job.image, RAM, words, qmp)
            lines = await boot(qemu, job.parts.environment, job.logs, lambda line: listen(host, line), patience)
    return Findings(lines)


@asynccontextmanager
async def _server(job: Job, socket: Path) -> AsyncGenerator[trio.Process | None, None]:
    """The route's server, listening; None where QEMU needs none."""
    if job.route.server == "none":
        yield None
        return
    log = job.logs / "server.log"
    theirs = [*job.parts.vhost_user_gpu, f"--socket-path={socket}"]
    arguments = _serve(job, socket) if job.route.ours else theirs
    async with process(arguments, log) as running:
        await listening(running, socket, log)
        yield running


def _serve(job: Job, socket: Path) -> list[str]:
    """The command line of our own server."""
    arguments = [sys.executable, "-m", "vgpu_emu", "serve", job.route.server, "--socket", str(socket)]
    arguments += ["--screenshot-dir", str(job.logs), "--capture", str(job.logs / "capture.jsonl")]
    if job.bar is not None:
        arguments += ["--host-visible", region_size(job.bar)]
    if job.features is not None:
        arguments += ["--features", ",".join(feature.name.lower() for feature in sorted(job.features)) or "none"]
    for blob in BLOBS:
        if blob.exporter is None:
            arguments += ["--blob-id", f"{blob.blob_id}={blob.map_info.name.lower()}"]
    return arguments
