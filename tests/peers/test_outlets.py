"""What a server writes of its guests: the trace as it grows, and what becomes of a file that cannot be written."""

from errno import EPIPE
from pathlib import Path

import pytest
from backend_kit import CONFIG, Ears, Guest

from vgpu_emu.peers.outlets import Outlets, open_backend
from vgpu_emu.trace.ladder import Rung, rungs
from vgpu_emu.trace.logfile import read_log
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.render import CtxCreate

pytestmark = pytest.mark.usefixtures("nothing_left")
DISPLAY_INFO = HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)


async def talk(outlets: Outlets, said: list[str]) -> int:
    """One guest's session; the number of answers that it got."""
    ears = Ears()
    async with open_backend(CONFIG, outlets, ears) as backend:
        guest = Guest(backend, ears, said)
        backend.reset()
        guest.start()
        answers = await guest.say(DISPLAY_INFO, CtxCreate(ctx_id=1), b"\xff" * 24)
        guest.close()
        return len(answers)


async def test_trace_is_the_ladder_of_the_log(tmp_path: Path) -> None:
    said: list[str] = []
    climbed: list[Rung] = []
    log = tmp_path / "run.log"
    with Outlets(said.append, trace=climbed.append, log=log) as outlets:
        assert await talk(outlets, said) == 3
        assert await talk(outlets, said) == 3
    with log.open("rb") as stream:
        runs = read_log(stream, "run.log")
    written = [rung for events in runs.values() for rung in rungs(events)]
    assert climbed == written
    assert [rung.says for rung in climbed if rung.receiver == "guest"] == [
        "RESP_OK_DISPLAY_INFO",
        "RESP_OK_NODATA",
        "RESP_ERR_UNSPEC",
    ] * 2
    assert said == []


@pytest.mark.parametrize("name", ["log", "capture"])
async def test_full_disk_costs_the_file_and_not_the_guest(name: str) -> None:
    said: list[str] = []
    full = Path("/dev/full")
    with Outlets(
        said.append, log=full if name == "log" else None, capture=full if name == "capture" else None
    ) as outlets:
        assert await talk(outlets, said) == 3
        assert await talk(outlets, said) == 3
    assert said == [f"cannot write the {name} any more: No space left on device"]


async def test_reader_of_the_trace_may_have_seen_enough() -> None:
    said: list[str] = []
    climbed: list[Rung] = []

    def write(rung: Rung) -> None:
        climbed.append(rung)
        if len(climbed) == 5:
            raise BrokenPipeError(EPIPE, "Broken pipe")

    with Outlets(said.append, trace=write) as outlets:
        assert await talk(outlets, said) == 3
    assert (len(climbed), said) == (5, ["cannot write the trace any more: Broken pipe"])


async def test_directory_for_pictures_may_go_away(tmp_path: Path) -> None:
    from test_screenshots import show

    said: list[str] = []
    ears = Ears()
    directory = tmp_path / "screens"
    directory.mkdir()
    with Outlets(said.append, screenshots=directory) as outlets:
        async with open_backend(CONFIG, outlets, ears) as backend:
            guest = Guest(backend, ears, said)
            await show(guest)
            directory.rmdir()
            backend.reset()
            await show(guest)
            guest.close()
    assert said == ["cannot write a screenshot any more: No such file or directory"]
