"""The engines' targets without an engine: seeds have no finding, and what is wrong is found."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
from engine_defects import AnswersCut, PaddingForgotten, WritesElsewhere

from vgpu_emu.fuzz.actions import Call, Program, Restart, Send
from vgpu_emu.fuzz.defects.mappings import MapInfoShifted
from vgpu_emu.fuzz.encoding import Reader, decode, encode
from vgpu_emu.fuzz.engines import program, rings, seeds, sockets, wire
from vgpu_emu.fuzz.engines.driver import DRIVER, LyingHost, _probe
from vgpu_emu.fuzz.engines.lies import Lie
from vgpu_emu.fuzz.engines.messages import answered
from vgpu_emu.fuzz.engines.program import PROGRAM, cross
from vgpu_emu.fuzz.engines.seeds import SEEDS, corpus, dictionary, made_up, of_scenarios, recorded
from vgpu_emu.fuzz.engines.sockets import SOCKETS
from vgpu_emu.fuzz.engines.target import Target
from vgpu_emu.fuzz.engines.vring import VRING
from vgpu_emu.fuzz.engines.wire import WIRE
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.trial import Conditions
from vgpu_emu.guest import vram
from vgpu_emu.link.driver_queue import DriverQueue
from vgpu_emu.peers.stream import Fds
from vgpu_emu.scenario.loading import load
from vgpu_emu.vocabulary import Pgprot
from vgpu_wire.control import CtrlType

ROOT = Path(__file__).parents[2]
#: kinds of lies: the answer as it is; none
HONEST, NEVER = 0, 10
TARGETS = {target.name: target for target in (DRIVER, PROGRAM, SOCKETS, VRING, WIRE)}


@pytest.fixture(scope="module")
def seed_of() -> Callable[[str], list[bytes]]:
    """The seeds of a target, made once; of programs not those of scenarios, which take seconds."""
    made = {"program": corpus((*made_up(16), *recorded(ROOT)))}

    def of(name: str) -> list[bytes]:
        if name not in made:
            made[name] = corpus(SEEDS[name](ROOT))
        return made[name]

    return of


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_seeds_have_no_finding(target: Target, seed_of: Callable[[str], list[bytes]]) -> None:
    found = seed_of(target.name)
    assert found
    for data in found[:60]:
        target.run(data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_any_bytes_have_no_finding(target: Target, seed_of: Callable[[str], list[bytes]]) -> None:
    rng = Random(7)
    found = seed_of(target.name)
    target.run(b"")
    for _ in range(20):
        data = bytearray(rng.choice(found))
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        target.run(bytes(data[:400]))


def _finds(target: Target, inputs: list[bytes]) -> str:
    """The oracle that one of the inputs brings up."""
    for data in inputs:
        try:
            target.run(data)
        except Finding as finding:
            return finding.oracle
    return "none"


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_same_bytes_have_the_same_verdict_a_hundred_times(
    target: Target, seed_of: Callable[[str], list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "CONDITIONS", Conditions(defects=(MapInfoShifted,)))
    inputs = seed_of(target.name)
    verdicts = [_finds(target, [data]) for data in inputs[:60]]
    place = next((place for place, verdict in enumerate(verdicts) if verdict != "none"), 0)
    assert (verdicts[place] != "none") is (target is PROGRAM)
    assert {_finds(target, [inputs[place]]) for _ in range(100)} == {verdicts[place]}


Damage = Callable[[pytest.MonkeyPatch], None]


def _cached_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(vram, "pgprot_from_map_info", lambda _number: Pgprot.CACHED)


def _keeps_descriptors(patch: pytest.MonkeyPatch) -> None:
    good = DriverQueue._finish

    def finish(queue: DriverQueue, head: int, length: int) -> Any:
        used = good(queue, head, length)
        queue._free.pop()
        return used

    patch.setattr(DriverQueue, "_finish", finish)


def _plants(module: ModuleType, defect: type) -> Damage:
    """As VGPU_EMU_DEFECT does."""
    return lambda patch: patch.setattr(module, "DEFECTS", (defect,))


@pytest.mark.parametrize(
    ("target", "damage", "oracle"),
    [
        pytest.param(DRIVER, _cached_for_all, "I2", id="driver"),
        pytest.param(VRING, _keeps_descriptors, "I10", id="vring"),
        pytest.param(VRING, _plants(rings, WritesElsewhere), "I31", id="vring-planted"),
        pytest.param(SOCKETS, _plants(sockets, AnswersCut), "I7", id="sockets-planted"),
        pytest.param(WIRE, _plants(wire, PaddingForgotten), "I5", id="wire-planted"),
    ],
)
def test_what_is_wrong_is_found(
    target: Target,
    damage: Damage,
    oracle: str,
    seed_of: Callable[[str], list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = seed_of(target.name)
    assert _finds(target, inputs) == "none"
    damage(monkeypatch)
    assert _finds(target, inputs) == oracle


def test_descriptors_that_stay_open_are_found(
    seed_of: Callable[[str], list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(Fds, "close", lambda fds: kept.extend(fds._left))
    session = next(data for data in seed_of("sockets") if data[0] == 0)
    try:
        # eventfds with a message that takes none
        with pytest.raises(Finding, match="I11"):
            SOCKETS.run(session[:1] + bytes([1, 0, 0, 0x12]))
    finally:
        for fileno in kept:
            os.close(fileno)


@pytest.mark.parametrize(
    ("kind", "data"), [(0, bytes(12)), (0, b"\1\0\0\0\5\0\0\0\4\0\0\0"), (1, bytes(16)), (1, b"x")]
)
def test_answers_that_are_not_whole_are_found(kind: int, data: bytes) -> None:
    with pytest.raises(Finding):
        answered(data, kind)


def test_object_whose_end_the_host_never_answers_keeps_its_place() -> None:
    host = LyingHost(Setup(real=True, host_visible=1 << 16))
    for name in ("open", "context_init", "blob", "mmap", "munmap"):
        host.lockstep.call(Call(name))
    # of CTX_DETACH_RESOURCE, of UNMAP_BLOB, of UNREF
    for kind in (HONEST, NEVER, NEVER):
        host.liar.add(Lie(Reader(bytes([kind, 0, 0, 0]))))
    host.lockstep.call(Call("close_handle"))
    assert not host.guest.files[0].handles
    assert host.driver.in_flight == 2
    assert host.driver.mm.nodes
    host.close()


def test_call_that_waits_for_ever_holds_what_it_has() -> None:
    host = LyingHost(Setup(real=True, host_visible=1 << 16))
    for call in (Call("open"), Call("image", (4, 4, 19)), Call("framebuffer")):
        host.lockstep.call(call)
    # of a transfer, for which the cursor waits: nobody but that call has the second reference
    host.liar.add(Lie(Reader(bytes([NEVER, 0, 0, 0]))))
    for call in (Call("transfer", (0, 0, 0, 1, 1, 1)), Call("cursor")):
        host.lockstep.call(call)
    assert host.guest.framebuffers[0].refs == 2
    host.close()


def test_host_that_is_probed_anew_takes_no_framebuffer_away() -> None:
    host = LyingHost(Setup(real=True, host_visible=1 << 16))
    for call in (Call("open"), Call("image", (4, 4, 19)), Call("framebuffer"), Call("cursor")):
        host.lockstep.call(call)
    assert host.guest.framebuffers[0].refs == 2
    _probe(host, Reader(bytes(4)))
    host.lockstep.call(Call("open"))
    host.close()


def test_seeds_of_the_driver_are_told_every_map_info(
    seed_of: Callable[[str], list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: set[int] = set()
    check = LyingHost.check

    def look(host: LyingHost) -> None:
        told.update(host._told.values())
        check(host)

    monkeypatch.setattr(LyingHost, "check", look)
    for data in seed_of("driver"):
        DRIVER.run(data)
    assert {0, 1, 2, 3} <= told


# -- mutation


@pytest.mark.parametrize("seed", range(8))
def test_program_grows_by_steps_that_make_sense(seed: int, seed_of: Callable[[str], list[bytes]]) -> None:
    start = decode(seed_of("program")[seed])
    start = Program(start.setup, start.steps[:3])
    grown = program._grown(start, Random(seed))
    assert grown.steps[: len(start.steps)] == start.steps
    assert len(grown.steps) > len(start.steps)
    assert grown == program._grown(start, Random(seed))


@pytest.mark.parametrize("seed", range(8))
def test_crossing_keeps_steps_whole_and_fits(seed: int, seed_of: Callable[[str], list[bytes]]) -> None:
    one, other = seed_of("program")[seed], seed_of("program")[seed + 1]
    crossed = cross(one, other, 200, seed)
    assert len(crossed) <= 200
    assert encode(decode(crossed)) == crossed
    assert crossed == cross(one, other, 200, seed)


# -- seeds


def test_what_a_scenario_sends_is_a_seed() -> None:
    found = seeds.scenario_program(load(min((ROOT / "scenarios" / "map-blob").glob("*.vgpu.toml")))[0])
    sent = {int.from_bytes(send.data[:4], "little") for send in found.steps if isinstance(send, Send)}
    assert {CtrlType.RESOURCE_CREATE_BLOB, CtrlType.RESOURCE_MAP_BLOB} <= sent


def test_program_of_a_scenario_that_the_reference_watches_is_a_seed() -> None:
    (found,) = corpus(of_scenarios([ROOT / "scenarios" / "found" / "signal-to-a-vmm-that-ended.vgpu.toml"]))
    assert Restart() in decode(found).steps


@pytest.mark.parametrize("name", ["vring", "wire"])
def test_dictionary_has_a_word_a_line(name: str) -> None:
    lines = dictionary(SEEDS[name](ROOT)).splitlines()
    assert lines
    assert all(line.startswith('"\\x') and line.endswith('"') for line in lines)
