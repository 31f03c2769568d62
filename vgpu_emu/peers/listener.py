"""A private unix socket on which guests come. Those that come while another one is served wait in its queue."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ECONNREFUSED, ENOENT

import trio

#: guests that may wait for their turn
_BACKLOG = 8


class ListenError(Exception):
    """Why there can be no socket of this name."""


@contextmanager
def listening(path: str) -> Iterator[trio.socket.SocketType]:
    """A listening socket that nobody but this user can connect to; its file is gone at the end.

    A socket that nobody listens on any more is replaced. Raises ListenError.
    """
    _make_room(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as plain:
        # no moment in which others could connect
        before = os.umask(0o177)
        try:
            plain.bind(path)
        except OSError as error:
            raise ListenError(error.strerror or str(error)) from None
        finally:
            os.umask(before)
        inode = os.stat(path).st_ino
        try:
            plain.listen(_BACKLOG)
            yield trio.socket.from_stdlib_socket(plain)
        finally:
            # a file of this name may be somebody else's by now
            with suppress(OSError):
                if os.stat(path).st_ino == inode:
                    os.unlink(path)


def _make_room(path: str) -> None:
    try:
        mode = os.stat(path, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ListenError(error.strerror) from None
    if not stat.S_ISSOCK(mode):
        raise ListenError("it exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.setblocking(False)
            probe.connect(path)
        except OSError as error:
            if error.errno in {ECONNREFUSED, ENOENT}:
                with suppress(FileNotFoundError):
                    os.unlink(path)
                return
    raise ListenError("somebody listens on it already")
