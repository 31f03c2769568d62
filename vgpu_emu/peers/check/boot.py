"""One guest, from QEMU's start to its end, with everything that is said kept in files."""

import os
import shlex
import signal
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from math import inf
from pathlib import Path

import trio

from vgpu_emu.peers.guest.image import Image

#: no kaslr, no mitigations: it is about the driver, and the machine is slow. PAT and debugfs are in by default
_KERNEL_WORDS = "console=ttyS0 quiet mitigations=off tsc=reliable nokaslr"

#: told every line of the serial port; what it returns is typed in there
Listener = Callable[[str], Awaitable[bytes]]


class BootError(Exception):
    """Why a guest, or the server of its device, did not come to its end; one line, with the file that says more."""


def command(qemu: Sequence[str], machine: Sequence[str], image: Image, ram: int, words: str, qmp: Path) -> list[str]:
    """QEMU's whole command line. ram: in MiB. words: more of the kernel's command line."""
    return [
        *qemu,
        *("-accel", "tcg", "-m", str(ram), "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-serial", "stdio", "-qmp", f"unix:{qmp},server=on,wait=off"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initramfs), "-append", f"{_KERNEL_WORDS} {words}"),
        *machine,
    ]


@asynccontextmanager
async def process(
    arguments: Sequence[str], log: Path, environment: dict[str, str] | None = None, *, talks: bool = False
) -> AsyncGenerator[trio.Process, None]:
    """A process, in a group of its own, that is gone at the end. log: takes what it says; what it is comes first.

    talks: its input and its output are pipes; only its complaints go to the log.
    """
    with log.open("wb") as sink:
        sink.write(f"$ {shlex.join(arguments)}\n".encode())
        sink.flush()
        running = await trio.lowlevel.open_process(
            list(arguments),
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talks else sink,
            stderr=sink,
            env=environment,
            start_new_session=True,
        )
    try:
        yield running
    finally:
        with trio.CancelScope(shield=True):
            await _end(running)


async def _end(running: trio.Process) -> None:
    """SIGTERM, and SIGKILL if that does nothing: QEMU ignores the first while it waits for a server."""
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, inf)):
        if running.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, number)
            with trio.move_on_after(patience):
                await running.wait()


async def listening(running: trio.Process, socket: Path, log: Path) -> None:
    """Until the server listens. Raises BootError if it ends instead, or takes a minute."""
    with trio.move_on_after(60):
        while running.poll() is None:
            if await trio.Path(socket).exists():
                return
            await trio.sleep(0.05)
    raise BootError(f"the server does not listen: {_last_line(log)} ({log})")


async def boot(
    arguments: Sequence[str], environment: dict[str, str], logs: Path, listen: Listener, patience: float
) -> list[str]:
    """Run a guest to its end: the lines of its serial port, which are in `logs`/serial.log too.

    Raises BootError if it takes longer than `patience`, in seconds, or QEMU fails.
    """
    lines: list[str] = []
    complaints = logs / "qemu.log"
    async with process(arguments, complaints, environment, talks=True) as qemu:
        with trio.move_on_after(patience) as waiting:
            await _converse(qemu, logs / "serial.log", lines, listen)
            await qemu.wait()
        if waiting.cancelled_caught:
            raise BootError(f"the guest did not come to its end in {patience:.0f} s ({logs / 'serial.log'})")
        if qemu.returncode:
            raise BootError(f"QEMU ended with {qemu.returncode}: {_last_line(complaints)} ({complaints})")
    return lines


async def _converse(qemu: trio.Process, log: Path, lines: list[str], listen: Listener) -> None:
    assert qemu.stdout is not None
    assert qemu.stdin is not None
    rest = b""
    with log.open("wb") as sink:
        async for data in qemu.stdout:
            sink.write(data)
            sink.flush()
            *whole, rest = (rest + data).split(b"\n")
            for raw in whole:
                line = raw.decode(errors="replace").rstrip("\r")
                lines.append(line)
                if answer := await listen(line):
                    await qemu.stdin.send_all(answer)


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines()[1:] if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
