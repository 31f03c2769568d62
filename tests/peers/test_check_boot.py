"""Starting and ending real processes, with a shell in QEMU's place."""

import os
from pathlib import Path

import pytest

from vgpu_emu.peers.check.boot import BootError, boot, listening, process


async def run(script: str, logs: Path, answers: dict[str, bytes]) -> list[str]:
    async def listen(line: str) -> bytes:
        return answers.get(line, b"")

    return await boot(["sh", "-c", script], dict(os.environ), logs, listen, 60)


async def test_lines_are_heard_answered_and_kept(tmp_path: Path) -> None:
    lines = await run("echo @watch; read answer; echo got $answer", tmp_path, {"@watch": b"word\n"})
    assert lines == ["@watch", "got word"]
    assert (tmp_path / "serial.log").read_text() == "@watch\ngot word\n"
    assert (tmp_path / "qemu.log").read_text().startswith("$ sh -c ")


async def test_qemu_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(BootError, match=r"QEMU ended with 3: no such device \(.*qemu.log\)"):
        await run("echo no such device >&2; exit 3", tmp_path, {})


async def test_server_that_ends_before_it_listens_is_quoted(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    async with process(["sh", "-c", "echo no such option; exit 2"], log) as server:
        await server.wait()
        with pytest.raises(BootError, match="does not listen: no such option"):
            await listening(server, tmp_path / "socket", log)


def until_there(path: Path) -> None:
    while not path.exists() or not path.read_text():
        os.sched_yield()


def is_running(pid: int) -> bool:
    """Not gone, and no zombie that nobody has waited for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_process_is_gone_at_the_end_with_its_children(tmp_path: Path) -> None:
    async with process(["sh", "-c", f"cd {tmp_path}; sleep 1000 & echo $! > child; wait"], tmp_path / "log") as shell:
        until_there(tmp_path / "child")
    assert shell.returncode is not None
    child = int((tmp_path / "child").read_text())
    for _ in range(100_000):
        if not is_running(child):
            return
        os.sched_yield()
    pytest.fail("the child lives on")


async def test_process_that_ignores_sigterm_is_killed(tmp_path: Path, autojump_clock: object) -> None:
    script = f"trap '' TERM; echo yes > {tmp_path}/ready; while :; do sleep 1000; done"
    async with process(["sh", "-c", script], tmp_path / "log") as shell:
        until_there(tmp_path / "ready")
    assert shell.returncode == -9
