"""Where a device comes from: a socket, and perhaps a command that makes it, which starts it again after a crash."""

import os
import shlex
import signal
import stat
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import IO, Protocol

import trio

from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.front.machine import DeviceMachine, FrontConfig
from vgpu_emu.peers.front.opening import connect, open_device
from vgpu_emu.peers.stream import FdStream

#: what stands for the socket's path in a command
PLACE = "{socket}"
#: seconds until a command's device must listen, until a process that is told to end must have ended, between two looks
_START, _END, _LOOK = 10.0, 2.0, 0.01
#: bytes of a process's last words
_TAIL = 4096


class Source(Protocol):
    """Where a device comes from: a DeviceSource, or anything that opens one."""

    def open(self, config: FrontConfig | None = None) -> AbstractAsyncContextManager[DeviceMachine]:
        """Raises DeviceError."""
        ...


class CommandError(ValueError):
    """The command of a device cannot be run."""


class DeviceSource:
    """path: the socket. command: shell-like words with {socket} in them; None: somebody else runs the device.

    Raises CommandError for a command that is none.
    """

    def __init__(self, path: str, command: str | None = None) -> None:
        self.path = path
        self.command: list[str] | None = None
        if command is not None:
            self.command = _words(command, path)

    @asynccontextmanager
    async def open(self, config: FrontConfig | None = None) -> AsyncGenerator[DeviceMachine, None]:
        """A guest on a device that has just started, or that takes one more connection. Raises DeviceError, which says
        how the process ended if it did; CommandError."""
        if self.command is None:
            async with open_device(await connect(self.path), config) as machine:
                yield machine
            return
        with tempfile.TemporaryFile() as said:
            async with _process(self.command, self.path, said) as process:
                try:
                    async with open_device(await self._started(process), config) as machine:
                        yield machine
                except DeviceError as error:
                    ending = await _ending(process, said, error.fault)
                    raise DeviceError(error.fault, error.detail + ending, error.last) from None

    async def _started(self, process: trio.Process) -> FdStream:
        """Connect as soon as it listens."""
        deadline = trio.current_time() + _START
        while True:
            try:
                return await connect(self.path)
            except DeviceError:
                if process.poll() is not None or trio.current_time() > deadline:
                    raise
            await trio.sleep(_LOOK)


def _words(command: str, path: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CommandError(f"{command!r}: {error}") from None
    if not any(PLACE in word for word in words):
        raise CommandError(f"{command!r} does not say where the socket goes: write {PLACE} there")
    return [word.replace(PLACE, path) for word in words]


@asynccontextmanager
async def _process(command: list[str], path: str, said: IO[bytes]) -> AsyncGenerator[trio.Process, None]:
    """The command's process, which ends with this at the latest. A socket of an earlier one is removed."""
    _remove_socket(path)
    try:
        process = await trio.lowlevel.open_process(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    except OSError as error:
        raise CommandError(f"cannot run {command[0]}: {error.strerror}") from None
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            await _end(process)


def _remove_socket(path: str) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)


async def _end(process: trio.Process) -> None:
    process.terminate()
    with trio.move_on_after(_END) as scope:
        await process.wait()
    if scope.cancelled_caught:
        process.kill()
        await process.wait()


async def _ending(process: trio.Process, said: IO[bytes], fault: DeviceFault) -> str:
    """How the process ended, and its last line; nothing for one that goes on."""
    if fault in {DeviceFault.GONE, DeviceFault.UNREACHABLE}:
        # the kernel closes its sockets first
        with trio.move_on_after(_END):
            await process.wait()
    if (code := process.poll()) is None:
        return ""
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    end = said.seek(0, 2)
    said.seek(max(0, end - _TAIL))
    lines = said.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"; its process ended: {how}" + (f", last line: {last}" if last else "")
