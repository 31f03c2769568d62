"""What every party's process does: answer the calls of the machine, one after the other, until it hangs up.

The process dies with the machine: the closed socket ends it and, should it be stopped or in a loop then, the kernel
(PR_SET_PDEATHSIG).
"""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import msgspec

from vgpu_emu.link.seqpacket import Incoming, Seqpacket, check_peer
from vgpu_emu.memory import PassedFd, let_go
from vgpu_emu.processes.messages import Failed, Result, Seen, hand
from vgpu_wire.errors import WireError

#: <linux/prctl.h>
_PR_SET_PDEATHSIG = 1


class Reply(NamedTuple):
    """What a call returns. passed: descriptors that go with it, and are let go then."""

    value: Any = None
    passed: Sequence[PassedFd] = ()


class Server:
    """carry_out: a call -> what it returns. result: makes the message of it."""

    def __init__(self, calls: Any, carry_out: Callable[[Any, Incoming], Reply], result: Callable[..., Result]) -> None:
        self._decode = msgspec.msgpack.Decoder(calls).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._carry_out = carry_out
        self._result = result
        self._seen: list[Seen] = []
        self._shown: list[PassedFd] = []

    def saw(self, seen: Seen, *shown: PassedFd) -> None:
        """For the machine to know, with the next result. shown: the memory of a `Shown`, which is held until then."""
        self._seen.append(seen)
        self._shown.extend(shown)

    def serve(self, link: Seqpacket) -> None:
        """Until the machine closes its end. Raises WireError and msgspec.DecodeError for what is no call."""
        try:
            while True:
                incoming = link.receive()
                data, fds = self._answer(incoming)
                if len(data) > link.max_message:
                    data, fds = self._too_long(data), []
                link.send(data, fds)
                self._forget()
        except (EOFError, ConnectionError):
            return

    def _answer(self, incoming: Incoming) -> tuple[bytes, list[int]]:
        reply, failed = Reply(), None
        try:
            reply = self._carry_out(self._decode(incoming.data), incoming)
        except msgspec.DecodeError:
            raise
        except (OSError, ValueError, LookupError) as error:
            failed = Failed(type(error).__name__, *_said(error))
        self._shown.extend(reply.passed)
        handed, fds = hand(self._shown)
        handed = handed[len(handed) - len(reply.passed) :]
        result = self._result(value=reply.value, failed=failed, seen=self._seen, handed=handed)
        return self._encode(result), fds

    def _too_long(self, data: bytes) -> bytes:
        failed = Failed("ValueError", f"an answer of {len(data)} bytes is more than a message may have")
        return self._encode(self._result(failed=failed))

    def _forget(self) -> None:
        self._seen.clear()
        let_go(self._shown)
        self._shown.clear()


def _said(error: Exception) -> tuple[str, int]:
    if isinstance(error, OSError) and error.errno:
        return error.strerror or "", error.errno
    return str(error), 0


def run(server: Server, link: Callable[[socket.socket], Seqpacket] = Seqpacket) -> NoReturn:
    """The life of a party's process. Its last argument is the number of its socket, one of a pair that the machine
    made: it has no name that anybody else could connect to. link: makes its end of the link."""
    end = socket.socket(fileno=int(sys.argv[-1]))
    end.set_inheritable(False)
    # Ctrl-C is for the machine, which then hangs up
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        parent = check_peer(end, os.geteuid())
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            server.serve(link(end))
    except PermissionError as error:
        _give_up(str(error))
    except (WireError, msgspec.DecodeError) as error:
        _give_up(f"the machine sent what is no call: {error}")
    # nothing is left that a slow end of the interpreter would do
    os._exit(0)


def _give_up(why: str) -> NoReturn:
    print(f"{sys.argv[0]}: {why}", file=sys.stderr, flush=True)
    os._exit(2)


def insides() -> dict[str, list[str]]:
    """Of this process: what it has loaded, and what it has open."""
    files = []
    for name in os.listdir("/proc/self/fd"):
        try:
            files.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return {"modules": sorted(sys.modules), "files": sorted(files)}
