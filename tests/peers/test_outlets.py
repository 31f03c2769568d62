"""What a server writes of its guests: the trace as it grows, and what becomes of a file that cannot be written."""

from collections.abc import Mapping, Sequence
from errno import EPIPE
from pathlib import Path

import pytest
from backend_kit import CONFIG, Ears, Guest

from vgpu_emu.peers.outlets import Outlets, open_backend
from vgpu_emu.trace.ladder import Rung, rungs
from vgpu_emu.trace.log import Event, Message
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


def texts(runs: Mapping[str, Sequence[Event]]) -> bytes:
    """What a page of these runs says, here."""
    return "".join(f"{name}: {len(events)}\n" for name, events in runs.items()).encode()


async def test_page_has_every_guest_as_soon_as_it_has_gone(tmp_path: Path) -> None:
    said: list[str] = []
    log, page = tmp_path / "run.log", tmp_path / "page"
    with Outlets(said.append, log=log, pages={"the page": (page, texts)}) as outlets:
        assert page.read_bytes() == b""
        await talk(outlets, said)
        assert page.read_text(encoding="utf-8").startswith("guest 1: ")
        await talk(outlets, said)
    with log.open("rb") as stream:
        assert page.read_bytes() == texts(read_log(stream, "run.log"))
    assert said == []


@pytest.mark.parametrize("surplus", [-1, 0, 1])
@pytest.mark.parametrize("limit", ["MAX_EVENTS", "MAX_BYTES"])
async def test_page_of_a_long_run_has_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, surplus: int
) -> None:
    said: list[str] = []
    events: list[Event] = []

    def keep(runs: Mapping[str, Sequence[Event]]) -> bytes:
        events[:] = runs["guest 1"]
        return texts(runs)

    with Outlets(said.append, pages={"the page": (tmp_path / "page", keep)}) as outlets:
        await talk(outlets, said)
    whole = len(events)
    size = whole if limit == "MAX_EVENTS" else sum(len(e.data) for e in events if isinstance(e, Message))
    monkeypatch.setattr(f"vgpu_emu.peers.outlets.{limit}", size - surplus)
    with Outlets(said.append, pages={"the page": (tmp_path / "page", keep)}) as outlets:
        await talk(outlets, said)
    if surplus <= 0:
        assert (len(events), said) == (whole, [])
    else:
        assert len(events) < whole
        left_out = f"{whole - len(events)} more are left out (--log has all, for vgpu-emu convert)"
        assert said == [f"page has the first {len(events)} events, {left_out}"]


async def test_page_that_cannot_be_written_costs_no_guest() -> None:
    said: list[str] = []
    with Outlets(said.append, pages={"the page": (Path("/dev/full"), texts)}) as outlets:
        assert await talk(outlets, said) == 3
        assert await talk(outlets, said) == 3
    assert said == ["cannot write the page any more: No space left on device"]


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
