"""A device that a command makes: where its socket goes, and how it ended if it did."""

import sys
from pathlib import Path

import pytest
import trio

from vgpu_emu.peers.front.errors import DeviceError
from vgpu_emu.peers.front.source import CommandError, DeviceSource

pytestmark = pytest.mark.usefixtures("nothing_left")
LISTEN = (
    "import os, signal, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); c = s.accept()"
)


async def failure(tmp_path: Path, program: str) -> str:
    """The error with which a device of this Python program cannot be opened."""
    source = DeviceSource(str(tmp_path / "s"), f'{sys.executable} -c "{program}" {{socket}}')
    with pytest.raises(DeviceError) as caught:
        async with source.open():
            raise AssertionError
    return str(caught.value)


async def test_crash_says_which_signal_and_the_last_line(tmp_path: Path) -> None:
    program = f"{LISTEN}; print('about to fail', file=sys.stderr); sys.stderr.flush(); os.kill(os.getpid(), 11)"
    said = await failure(tmp_path, program)
    assert said.startswith("the device closed the connection: ")
    assert said.endswith("; its process ended: killed by SIGSEGV, last line: about to fail")


async def test_program_that_never_listens_says_how_it_ended(tmp_path: Path) -> None:
    said = await failure(tmp_path, "import sys; sys.exit(3)")
    assert said.startswith("nothing answers at the socket: ")
    assert said.endswith("; its process ended: exit status 3")


async def test_socket_of_an_earlier_process_is_removed_and_no_other_file(tmp_path: Path) -> None:
    program = f"{LISTEN}; os.kill(os.getpid(), 6)"
    assert "SIGABRT" in await failure(tmp_path, program)
    assert (tmp_path / "s").is_socket()
    assert "SIGABRT" in await failure(tmp_path, program)
    (tmp_path / "s").unlink()
    (tmp_path / "s").write_text("precious")
    assert "exit status 1" in await failure(tmp_path, program)
    assert (tmp_path / "s").read_text() == "precious"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("vhost-user-gpu", "does not say where the socket goes"),
        ("", "does not say where the socket goes"),
        ("gpu '{socket}", "No closing quotation"),
    ],
)
def test_command_that_is_none_is_named(command: str, says: str) -> None:
    with pytest.raises(CommandError, match=says):
        DeviceSource("/tmp/s", command)


async def test_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot run /nowhere/gpu: No such file"):
        async with DeviceSource(str(tmp_path / "s"), "/nowhere/gpu {socket}").open():
            raise AssertionError


def test_path_goes_where_the_command_says() -> None:
    assert DeviceSource("/a b", "gpu --path={socket} 'x y'").command == ["gpu", "--path=/a b", "x y"]


async def test_process_that_ignores_a_request_to_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgpu_emu.peers.front.source._END", 0.05)
    program = f"import signal; signal.signal(15, signal.SIG_IGN); {LISTEN}; c[0].close(); signal.pause()"
    with trio.fail_after(10):
        assert (await failure(tmp_path, program)).startswith("the device closed the connection: ")
