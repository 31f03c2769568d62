"""Programs as scenario files: read back as they were, and failing with the defects that the program shows."""

from pathlib import Path
from random import Random
from typing import Any

import engine_defects
import pytest
from engine_defects import CachedForAll, ForgetsCursors
from msgspec.structs import replace

from vgpu_emu.cli import main
from vgpu_emu.faults.plan import Drop
from vgpu_emu.fuzz import trial
from vgpu_emu.fuzz.actions import Break, Call, Elapse, Fail, Plug, Poke, Program, Reset, Restart, Schedule, Send
from vgpu_emu.fuzz.calls import CALLS
from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.encoding import decode
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.model.setup import Asks, Setup
from vgpu_emu.fuzz.reading import ReadError, program_of
from vgpu_emu.fuzz.saying import SAID
from vgpu_emu.fuzz.scenarios import run, told
from vgpu_emu.fuzz.telling import Head, request, settled, tell
from vgpu_emu.fuzz.toml import toml_value
from vgpu_emu.fuzz.trial import Conditions
from vgpu_emu.link.chain import Chain
from vgpu_emu.scenario.loading import loads
from vgpu_emu.scenario.mistakes import ScenarioMistake
from vgpu_emu.scenario.outcome import Result
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.session import run as run_plain
from vgpu_emu.scenario.wire import build
from vgpu_emu.vmm.catalogue import find_profile
from vgpu_wire.device import CURSORQ

HEAD = Head(id="fuzz@program", why="What a fuzzer found.", source="vgpu-emu fuzz")
MAPPED = Program(
    Setup(real=True),
    (Call("open"), Call("blob", (0, 0, 0)), Call("mmap"), Call("store", (0, 1, 2)), Call("load", (0, 1))),
)


def read(text: str) -> Scenario:
    (scenario,) = loads(text)
    return scenario


def made(seed: int) -> Program:
    """A program of the generator, with what it has for machines of tasks."""
    swarm = Swarm(Random(seed))
    program = trial.explore(swarm, swarm.setup, 16, Conditions()).program
    return Program(program.setup, (*swarm.weather(), *program.steps))


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_generated_program_is_read_back_as_it_was(start: int) -> None:
    for seed in range(start, start + 20):
        program = made(seed)
        assert program_of(read(tell(program, HEAD))) == program


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_program_of_any_bytes_is_read_back_as_it_was_settled(start: int) -> None:
    for seed in range(start, start + 20):
        rng = Random(f"bytes {seed}")
        program = decode(b"\0\0" + rng.randbytes(200))
        assert program_of(read(tell(program, HEAD))) == settled(program)


def test_every_step_is_read_back_as_it_was() -> None:
    program = Program(
        Setup(asks=Asks.GUESS, guess=0, features=0x2F, fences=3, host_visible=1 << 15),
        (
            Schedule((1 << 64) - 1),
            Break(Drop(message="CTX_CREATE")),
            Send(b""),
            Send(b"\1\1", capacity=0),
            Send(build("GET_CAPSET_INFO", {}) + b"more", queue=1),
            Send(build("RESOURCE_MAP_BLOB", {"offset": (1 << 64) - 1}), capacity=32),
            Poke((1 << 64) - 1, b"guest"),
            Elapse((1 << 32) - 1),
            Plug(1, 640, 480),
            Plug(1, 0, 0),
            Restart(),
            Reset(),
            Reset(0x2B),
            Reset(0),
            Fail(24, 2),
            Fail(41, 0, 3, lose=True),
            Call("transfer", (1, 2, 3)),
        ),
    )
    assert program_of(read(tell(program, HEAD))) == program


def test_faults_and_the_schedule_come_first() -> None:
    drop = Break(Drop(message="CTX_CREATE"))
    program = Program(Setup(), (Call("open"), drop, Schedule(7), Call("open"), Schedule(8)))
    assert settled(program).steps == (Schedule(7), drop, Call("open"), Call("open"))


def test_calls_are_told_in_words() -> None:
    text = tell(MAPPED, HEAD)
    assert 'comment = "blob in file1: 0x1000 bytes, wc, blob_flags 1 as bo2"' in text
    assert 'call = "store"\nwith = { mapping = 0, place = 1, value = 2 }' in text
    assert 'comment = "store 8 bytes through vma3"' in text


def test_every_call_has_words_for_it() -> None:
    assert SAID.keys() == CALLS.keys()


def test_requests_are_told_by_their_members() -> None:
    sends = [step for seed in range(20) for step in made(seed).steps if isinstance(step, Send)]
    tables = [request(send.data) for send in sends]
    assert sum("message" in table for table in tables) > 0.9 * len(tables)


@pytest.mark.parametrize(
    ("data", "told_as"),
    [
        (build("RESOURCE_UNREF", {"resource_id": 7}), {"message": "RESOURCE_UNREF", "fields": {"resource_id": 7}}),
        (build("RESOURCE_UNREF", {"resource_id": 7})[:30], {"message": "RESOURCE_UNREF", "cut": 30}),
        (build("GET_DISPLAY_INFO", {}) + b"\xff", {"message": "GET_DISPLAY_INFO", "append": "ff"}),
        (b"\xff\xff\xff\xff", {"bytes": "ffffffff"}),
    ],
)
def test_request_in_members(data: bytes, told_as: dict[str, Any]) -> None:
    found = request(data)
    assert found.keys() >= told_as.keys()
    assert {name: found[name] for name in told_as} == told_as


# -- runs


RESTARTED = Program(Setup(), (Send(build("MOVE_CURSOR", {"pos": {"x": 5}}), CURSORQ), Restart()))


@pytest.mark.parametrize("target", ["core", "machine"])
@pytest.mark.parametrize(
    ("defect", "oracle", "program"), [(CachedForAll, "I1", MAPPED), (ForgetsCursors, "I30", RESTARTED)]
)
def test_file_fails_with_the_defect_and_passes_without(
    target: str, defect: type, oracle: str, program: Program
) -> None:
    found = told(program, oracle, replace(HEAD, target=target), [defect])
    assert (found.fails, found.passes, found.wrong) == (True, True, "")


def test_file_that_does_not_show_the_finding_says_so() -> None:
    assert told(Program(Setup(), (Call("open"),)), "I1", HEAD, [CachedForAll]).wrong == "the file passes"
    assert told(MAPPED, "I14", HEAD, [CachedForAll]).wrong == "the file fails by another oracle: I1 propagation"


def test_failure_has_its_step_and_the_messages_before_it() -> None:
    outcome = run(read(tell(MAPPED, HEAD)), defects=[CachedForAll])
    assert outcome.failure is not None
    assert outcome.failure.path == "step[1]"
    assert outcome.failure.mismatches[0].what == "I1 propagation"
    from vgpu_emu.trace.ladder import text

    ladder = text(outcome.events)
    assert "step[0]" in ladder
    assert "RESP_OK_MAP_INFO" in ladder


@pytest.mark.parametrize("target", ["core", "machine"])
def test_answers_are_those_that_the_program_has(target: str) -> None:
    scenario = read(tell(MAPPED, replace(HEAD, target=target)))
    outcome = run(scenario)
    assert outcome.result is Result.SUCCESS
    assert outcome.trace_hash == run(scenario, seed=0).trace_hash
    assert outcome.steps == len(MAPPED.steps)
    assert run(scenario, until=2).steps == 2


def test_profile_of_a_finding_is_in_its_file() -> None:
    scenario = read(tell(MAPPED, replace(HEAD, profile=find_profile("crosvm"))))
    assert scenario.profile == "crosvm"
    assert run(scenario).result is Result.SUCCESS


def test_device_that_comes_to_no_end_fails_the_file() -> None:
    class Endless:
        def device(self, device: Any) -> Any:
            class Never(Wrapper):
                def handle(self, _chain: Chain) -> Any:
                    raise RuntimeError("never")

            return Never(device)

    assert told(MAPPED, "I28", HEAD, [Endless]).shows


def test_machine_without_a_reference_skips_what_has_oracles() -> None:
    outcome = run_plain(read(tell(MAPPED, HEAD)))
    assert outcome.result is Result.SKIP
    assert "[oracles]" in outcome.detail


ORACLES = 'id = "test@one"\nwhy = "It is a test."\n[oracles]\ntarget = "core"\n'


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[[step]]\ndo = "call"\ncall = "bolb"', "call"),
        ('[[step]]\ndo = "call"\ncall = "mmap"\nwith = { blob = 1 }', "with"),
        ('[[step]]\ndo = "raw"\nmessage = "RESOURCE_UNREF"\nfields = { id = 1 }', "fields"),
    ],
)
def test_step_that_no_program_has_fails(text: str, path: str) -> None:
    scenario = read(ORACLES + text)
    with pytest.raises(ReadError, match=rf"step\[0\].{path}"):
        program_of(scenario)
    outcome = run(scenario)
    assert outcome.failure is not None
    assert outcome.failure.mismatches[0].what == path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[step]]\ndo = "create-blob"\nexporter = "wc"', r"step\[0\].do: with \[oracles\] a step is one of"),
        ('[[step]]\ndo = "sleep"\nseconds = 1\nexpect.seconds = 1.0', r"step\[0\].expect"),
        ('[[step]]\ndo = "raw"\nmessage = "CTX_CREATE"\nfields = { ctx_id = "program" }', r"step\[0\].do: .*number"),
        ('[hardware]\nvirtqueues = true\n[[step]]\ndo = "rebind"', "hardware.virtqueues"),
        ('[end]\nleft = ["x"]\n[[step]]\ndo = "rebind"', "end"),
    ],
)
def test_file_with_oracles_has_the_steps_of_a_program(text: str, says: str) -> None:
    with pytest.raises(ScenarioMistake, match=says):
        loads(ORACLES + text)


@pytest.mark.parametrize(
    "text",
    [
        '[[step]]\ndo = "call"\ncall = "open"',
        '[[step]]\ndo = "host-fails"',
        '[oracles]\nschedule = 1\n[[step]]\ndo = "rebind"',
    ],
)
def test_what_only_the_reference_can_do_needs_oracles(text: str) -> None:
    with pytest.raises(ScenarioMistake, match=r"core, machine or process|with \[oracles\]"):
        loads('id = "test@one"\nwhy = "It is a test."\n' + text)


def test_defect_of_a_file_is_planted_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from vgpu_emu.cli.run import run as run_command

    file = tmp_path / "found.vgpu.toml"
    file.write_text(tell(MAPPED, HEAD))
    assert run_command([str(file)]) == 0
    assert run_command([str(file)], defect=[f"{engine_defects.__file__}:CachedForAll"]) == 1
    assert "I1 propagation" in capsys.readouterr().out


def test_file_of_a_defect_is_run_once_for_all_scenarios(tmp_path: Path) -> None:
    defect, runs = tmp_path / "mine.py", tmp_path / "runs"
    defect.write_text(
        f"with open({str(runs)!r}, 'a') as file:\n    file.write('x')\n"
        "class Mine:\n    def device(self, device):\n        return device\n"
    )
    for name in "abc":
        (tmp_path / f"{name}.vgpu.toml").write_text(tell(MAPPED, replace(HEAD, id=f"fuzz@{name}")))
    assert main(["run", "--defect", f"{defect}:Mine", str(tmp_path)]) == 0
    # before the first, to see whether it can be planted, and for them
    assert runs.read_text() == "xx"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (15, "15"),
        (4096, "0x1000"),
        (1e-06, "0.000001"),
        ({"hdr.flags": 1}, '{ "hdr.flags" = 1 }'),
        ([1, "x"], '[1, "x"]'),
    ],
)
def test_values_are_toml(value: Any, text: str) -> None:
    assert toml_value(value) == text
