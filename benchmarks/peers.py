"""Our vhost-user back-end beside QEMU's own, in C, with the same front-end, which is in C too (front_end.c).

Pinned to one CPU, front-end and back-end take turns, so that the time of a command is the CPU time of both: that is
what is compared, because it does not depend on what else the machine does. Unpinned, it is the time that passes.
"""

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import IO, NamedTuple

from benchmarks.harness import Benchmark, UnavailableError
from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.get import present

_SYSTEMS = Path("/usr/lib/qemu/vhost-user-gpu")
#: milliseconds of a measurement, and how many there are of each candidate, in turn
_SLICE, _ROUNDS = 150, 9
#: seconds until a back-end listens
_START = 20.0


@cache
def _front_end() -> Path:
    """The front-end, compiled."""
    program = Path(tempfile.mkdtemp(prefix="vgpu-emu-bench-")) / "front_end"
    source = Path(__file__).with_name("front_end.c")
    subprocess.run(["gcc", "-O2", "-o", program, source], check=True)
    return program


def _qemus() -> list[str]:
    """QEMU's own back-end. Raises UnavailableError."""
    if _SYSTEMS.exists():
        return [str(_SYSTEMS), "--socket-path"]
    try:
        return [*present().vhost_user_gpu, "--socket-path"]
    except PartsError as missing:
        raise UnavailableError(f"no {_SYSTEMS}, and {missing}") from None


def _ours() -> list[str]:
    return [sys.executable, "-m", "vgpu_emu", "serve", "vhost-user", "--socket"]


class Session(NamedTuple):
    """A back-end and a front-end that is connected to it."""

    back_end: int
    front_end: int
    ask: IO[str]
    answer: IO[str]

    def measure(self, what: str, batch: int, *, cpu: bool) -> float:
        """Commands a second; of the CPU time of both, or of the time that passes."""
        before = self._cpu()
        self.ask.write(f"{what} {batch} {_SLICE}\n")
        self.ask.flush()
        line = self.answer.readline()
        if not line:
            raise RuntimeError("the front-end has failed")
        rate, number = (float(word) for word in line.split())
        return number / (self._cpu() - before) if cpu else rate

    def _cpu(self) -> float:
        """CPU seconds of both so far."""
        return sum(_cpu_seconds(pid) for pid in (self.back_end, self.front_end))


def _cpu_seconds(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) * 1e-9


@contextmanager
def _session(command: list[str], cpus: set[int]) -> Iterator[Session]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as kept:
        path = f"{folder}/s"
        # what is started inherits the CPUs
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cpus)
        try:
            back = subprocess.Popen([*command, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            kept.callback(back.wait)
            kept.callback(back.terminate)
            _wait_for(path, back)
            pipe = subprocess.PIPE
            front = subprocess.Popen([_front_end(), path], stdin=pipe, stdout=pipe, text=True)
            kept.enter_context(front)
        finally:
            os.sched_setaffinity(0, allowed)
        assert front.stdin is not None
        assert front.stdout is not None
        if front.stdout.readline() != "ready\n":
            raise RuntimeError(f"no session with {shlex.join(command)}")
        yield Session(back.pid, front.pid, front.stdin, front.stdout)


def _wait_for(path: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} does not listen")
        time.sleep(0.02)


def _ratio(what: str, batch: int, *, pinned: bool) -> float:
    """How many times the commands of QEMU's back-end ours carries out: the median over the rounds."""
    cpus = os.sched_getaffinity(0)
    if pinned:
        cpus = {max(cpus)}
    elif len(cpus) < 2:
        raise UnavailableError("there is one CPU only")
    with _session(_qemus(), cpus) as theirs, _session(_ours(), cpus) as ours:
        rounds = []
        for _ in range(_ROUNDS):
            base = theirs.measure(what, batch, cpu=pinned)
            rounds.append(ours.measure(what, batch, cpu=pinned) / base)
        return statistics.median(rounds[1:])


def _bench(what: str, batch: int, goal: float, *, pinned: bool = True) -> Benchmark:
    names = {"flush": "RESOURCE_FLUSH", "create": "CREATE_2D + UNREF"}
    place = "on one CPU" if pinned else "on two CPUs"
    return Benchmark(
        f"peers-{what}-{batch}" + ("" if pinned else "-free"),
        f"{names[what]}, {batch} a kick, {place}: rate of our vhost-user back-end / of QEMU's in C",
        goal,
        "higher",
        partial(_ratio, what, batch, pinned=pinned),
    )


BENCHMARKS = (
    _bench("flush", 1, 0.8),
    _bench("create", 1, 0.8),
    _bench("flush", 8, 1.2),
    _bench("create", 8, 0.8),
    _bench("flush", 64, 1.2),
    _bench("create", 64, 0.8),
    _bench("flush", 64, 0.4, pinned=False),
    _bench("create", 64, 0.4, pinned=False),
)
