"""A party's process as the machine has it: started, called, watched, ended."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import msgspec

import vgpu_emu
import vgpu_wire
from vgpu_emu.link.seqpacket import Incoming, Seqpacket, close_all
from vgpu_emu.memory import Memory
from vgpu_emu.processes.messages import Result, Seen
from vgpu_wire.errors import WireError

T = TypeVar("T")
#: told of something that happened in a party's process; with the memory of a slot that was shown
Tell = Callable[[Seen, Memory | None], None]
#: where the two packages are, for the interpreter of a party
_ROOTS = [str(Path(str(package.__file__)).parents[1]) for package in (vgpu_emu, vgpu_wire)]
#: how long a process that has hung up may take to die before its end is told, in seconds
_LAST_MOMENTS = 1.0


class PartyLostError(RuntimeError):
    """A party's process died, hangs, or says what is no message. The machine cannot go on.

    party, pid: whose. during: the call that it did not answer; None: nobody was waiting. why: what is known.
    """

    def __init__(self, party: str, pid: int, during: str | None, why: str) -> None:
        waiting = f"; {during} is not answered" if during else ""
        super().__init__(f"the {party}'s process {pid} {why}{waiting}")
        self.party = party
        self.pid = pid
        self.during = during
        self.why = why


class Party:
    """Every call raises PartyLostError.

    name: guest, vmm or host. command: an interpreter's arguments; the number of a socket is added to them.

    result: what its answers are. deadline: seconds for every answer, if the process is stopped; patience: if it is
    not.
    """

    def __init__(
        self, name: str, command: Sequence[str], result: type[Result], deadline: float, patience: float
    ) -> None:
        self.name = name
        self.patience = patience
        self.deadline = deadline
        self.lost: PartyLostError | None = None
        self.closed = False
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(result).decode
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.link = Seqpacket(ours, deadline)
            try:
                self.process = _spawn([*command, str(theirs.fileno())], theirs.fileno())
            except OSError:
                ours.close()
                raise
        self.pid = self.process.pid

    def call(self, call: msgspec.Struct, fds: Sequence[int] = ()) -> tuple[Any, Iterator[int]]:
        """The result of a call, and the descriptors that came with it, each for the caller to close."""
        if self.lost is not None:
            raise self.lost
        try:
            self.link.send(self._encode(call), fds)
            incoming = self._answer()
        except (OSError, EOFError, WireError) as error:
            raise self.lose(type(call).__name__, self._why(error)) from None
        try:
            return self._decode(incoming.data), iter(incoming.fds)
        except msgspec.DecodeError as error:
            close_all(incoming.fds)
            raise self.lose(type(call).__name__, self._why(error)) from None

    def _answer(self) -> Incoming:
        start = monotonic()
        while True:
            try:
                return self.link.receive()
            except TimeoutError:
                if _state(self.pid) == "T" or monotonic() - start >= self.patience:
                    raise

    def understood(self, read: Callable[[], T]) -> T:
        """What `read` makes of something that came from there."""
        try:
            return read()
        except (ValueError, TypeError, msgspec.DecodeError) as error:
            raise self.lose(None, self._why(error)) from None

    def started(self) -> None:
        """It has loaded what it needs: from now on answers are due sooner."""
        self.patience = self.deadline

    def lose(self, during: str | None, why: str) -> PartyLostError:
        """End it, as it is of no use any more: the error to raise."""
        if self.lost is None:
            self.lost = PartyLostError(self.name, self.pid, during, why)
            self.process.kill()
        return self.lost

    def died(self) -> PartyLostError:
        """It was seen to be dead while nobody called it."""
        return self.lose(None, self._end())

    def end(self, last: msgspec.Struct) -> list[str]:
        """Say goodbye, with a call that returns what is left, and close: what is left."""
        left: list[str] = []
        if self.lost is None:
            with suppress(PartyLostError):
                left = self.call(last)[0].value
        self.close()
        return left

    def close(self) -> None:
        """Hang up, and wait until the process is gone; one that does not go in time is killed."""
        self.closed = True
        self.link.close()
        try:
            self.process.wait(self.deadline)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _why(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            stopped = " (it is stopped)" if _state(self.pid) == "T" else ""
            seconds = self.deadline if stopped else self.patience
            return f"did not answer within {seconds} s{stopped}"
        if isinstance(error, EOFError | ConnectionError):
            return self._end()
        return f"sent what is no answer ({error})"

    def _end(self) -> str:
        """How it died."""
        try:
            status = self.process.wait(_LAST_MOMENTS)
        except subprocess.TimeoutExpired:
            return "closed its socket"
        if status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        return f"exited with status {status}"


def _spawn(command: list[str], keep: int) -> "subprocess.Popen[bytes]":
    """A process that has the socket and stderr of this one, and else nothing of it."""
    path = os.pathsep.join([*_ROOTS, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(keep,),
        env={**os.environ, "PYTHONPATH": path},
    )


def interpreter(module: str) -> list[str]:
    """The command of a party that comes with this package."""
    return [sys.executable, "-P", "-m", f"vgpu_emu.processes.{module}"]


def _state(pid: int) -> str:
    """The letter of its state in /proc: T is stopped."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    return ""
