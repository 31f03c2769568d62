"""A real Linux on our vhost-user back-end, and on one in C that does nothing (back_end.c): the same kernel, driver and
guest program, which prints how fast it was.

The guest runs under TCG, so most of the time is QEMU's; what is compared is the time that passes. Boots alternate, and
each ratio is of two neighbours.
"""

import statistics
import subprocess
import sys
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import trio

from benchmarks.harness import Benchmark, UnavailableError
from vgpu_emu.peers.check.boot import boot, command, listening, process
from vgpu_emu.peers.check.findings import Findings
from vgpu_emu.peers.check.routes import RAM, ROUTES
from vgpu_emu.peers.guest.image import Image, rates_image
from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.get import home, present
from vgpu_emu.peers.parts.parts import Parts

#: boots of each
_ROUNDS = 3
#: seconds for a guest
_PATIENCE = 240.0
#: @rate of=... of the guest's program -> what it is a rate of
_RATES = {"execbuffer": "fenced EXECBUFFERs", "blob": "blobs created, mapped, written and closed"}


class _Guest(NamedTuple):
    """What boots, and where what it says is kept."""

    parts: Parts
    image: Image
    logs: Path

    async def rates(self, server: list[str]) -> dict[str, float]:
        """How many a second, by name: the median of what the guest prints. Raises BootError."""
        socket, log = self.logs / "gpu", self.logs / "server.log"
        socket.unlink(missing_ok=True)
        machine = ROUTES["vhost-user"].qemu(socket)
        qemu = command(self.parts.qemu, machine, self.image, RAM, "VGPU_BLOBS=1", self.logs / "qmp")
        async with process([*server, str(socket)], log) as running:
            await listening(running, socket, log)
            found = Findings(await boot(qemu, self.parts.environment, self.logs, _listen, _PATIENCE))
        return {name: _median(found, name) for name in _RATES}


async def _listen(_line: str) -> bytes:
    return b""


def _median(found: Findings, name: str) -> float:
    rates = [float(rate["per_second"]) for rate in found.named("rate", of=name)]
    if not rates:
        raise RuntimeError(f"the guest has no rate of {name}: {[line.values for line in found.named('refused')]}")
    return statistics.median(rates)


def _back_end(folder: Path) -> list[str]:
    """The back-end that does nothing, compiled."""
    program = folder / "back_end"
    subprocess.run(["gcc", "-O2", "-o", program, Path(__file__).with_name("back_end.c")], check=True)
    return [str(program)]


def _ours() -> list[str]:
    return [sys.executable, "-m", "vgpu_emu", "serve", "vhost-user", "--host-visible", "8G", "--socket"]


@cache
def _ratios() -> dict[str, list[float]]:
    """Ours / the other's, for each round. Raises UnavailableError."""
    try:
        parts = present()
        image = rates_image(parts, home() / "image")
    except PartsError as missing:
        raise UnavailableError(str(missing)) from None
    ratios: dict[str, list[float]] = {name: [] for name in _RATES}
    with tempfile.TemporaryDirectory(prefix="vgpu-emu-bench-") as folder:
        guest = _Guest(parts, image, Path(folder))
        nothing = _back_end(guest.logs)
        for number in range(_ROUNDS):
            base, ours = trio.run(guest.rates, nothing), trio.run(guest.rates, _ours())
            print(f"round {number + 1} of {_ROUNDS}, a second: {_figures(ours, base)}", file=sys.stderr, flush=True)
            for name, each in ratios.items():
                each.append(ours[name] / base[name])
    return ratios


def _figures(ours: dict[str, float], base: dict[str, float]) -> str:
    return ", ".join(f"{name} {ours[name]:.0f} of {base[name]:.0f}" for name in _RATES)


def _ratio(name: str) -> float:
    return statistics.median(_ratios()[name])


def _bench(name: str) -> Benchmark:
    says = f"{_RATES[name]} of a real Linux: rate on our vhost-user back-end / on one in C that does nothing"
    return Benchmark(f"peers-guest-{name}", says, 0.8, "higher", partial(_ratio, name))


BENCHMARKS = tuple(_bench(name) for name in _RATES)
