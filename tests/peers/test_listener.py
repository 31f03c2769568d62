"""The socket that guests connect to: private, never somebody else's, gone at the end."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from vgpu_emu.peers.listener import ListenError, listening

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def path() -> Iterator[str]:
    # tmp_path may be too long for a socket
    with TemporaryDirectory() as directory:
        yield f"{directory}/gpu.sock"


def test_socket_is_private_and_gone_at_the_end(path: str) -> None:
    with listening(path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert not os.path.lexists(path)


async def test_guests_come_one_after_another(path: str) -> None:
    with listening(path) as listener, socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.connect(path)
        second.connect(path)
        first.send(b"1")
        second.send(b"2")
        heard = []
        for _ in range(2):
            guest, _ = await listener.accept()
            with guest:
                heard.append(await guest.recv(9))
        assert heard == [b"1", b"2"]


def test_live_socket_is_left_alone(path: str) -> None:
    with listening(path):
        with pytest.raises(ListenError, match="somebody listens"), listening(path):
            pass
        assert os.path.exists(path)


def test_stale_socket_is_replaced(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with listening(path), socket.socket(socket.AF_UNIX) as guest:
        guest.connect(path)


@pytest.mark.parametrize("kind", ["file", "directory", "link to a file"])
def test_what_is_no_socket_is_left_alone(path: str, kind: str) -> None:
    target = Path(path)
    if kind == "directory":
        target.mkdir()
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to("/etc/hostname")
    with pytest.raises(ListenError, match="no socket"), listening(path):
        pass
    assert os.path.lexists(path)


def test_socket_that_took_the_place_of_ours_is_left_alone(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        with listening(path):
            os.unlink(path)
            other.bind(path)
        assert os.path.exists(path)


def test_path_that_no_socket_can_have_is_refused(path: str) -> None:
    with pytest.raises(ListenError, match="too long"), listening(path + "x" * 108):
        pass
