"""Programs as scenario files: they pass on a clean machine, and fail with the defects that the program shows."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from vgpu_emu.fuzz import trial
from vgpu_emu.fuzz.actions import Break, Call, Poke, Program, Send
from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.model.world import Setup
from vgpu_emu.fuzz.scenarios import fails_with, scenario_of
from vgpu_emu.fuzz.telling import request
from vgpu_emu.fuzz.toml import toml_value
from vgpu_emu.fuzz.trial import Conditions
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.scenario.loading import loads
from vgpu_emu.scenario.outcome import Result
from vgpu_emu.scenario.session import run
from vgpu_emu.scenario.wire import build
from vgpu_wire.control import CtrlType

MAPPED = Program(
    Setup(real=True), (Call("open"), Call("blob"), Call("mmap"), Call("store", (0, 1, 2)), Call("load", (0, 1)))
)


def text_of(program: Program) -> str:
    text = scenario_of(program, "fuzz@program", "what a fuzzer found")
    assert text is not None
    return text


@pytest.mark.parametrize("seed", range(8))
def test_program_is_a_scenario_that_passes(seed: int) -> None:
    swarm = Swarm(Random(f"scenario {seed}"))
    swarm.calls = False
    program = trial.explore(swarm, swarm.setup, 6, Conditions()).program
    (scenario,) = loads(text_of(program))
    assert run(scenario).result is Result.SUCCESS


def test_text_names_what_a_program_counts() -> None:
    text = text_of(MAPPED)
    assert 'do = "create-blob"\nfile = "open1"' in text
    assert 'pgprot = "writecombine"' in text
    assert 'do = "read"\nof = "mmap3"' in text


def test_memory_of_the_guest_is_written_and_what_goes_wrong_is_a_fault() -> None:
    from vgpu_emu.faults.plan import Drop

    program = Program(
        Setup(), (Break(Drop(message="CTX_CREATE")), Poke(16, b"guest"), Call("open"), Call("context_init"))
    )
    text = scenario_of(program, "fuzz@lost", "a request is lost")
    assert text is not None
    assert '[[fault]]\nfault = "drop"' in text


def test_requests_are_told_by_their_members() -> None:
    swarm = Swarm(Random(5))
    swarm.calls = False
    sends = [s for s in trial.explore(swarm, swarm.setup, 40, Conditions()).program.steps if isinstance(s, Send)]
    told = [(send, request(send.data)) for send in sends]
    named = [(send, table) for send, table in told if "message" in table]
    assert len(named) > len(told) / 2
    assert all(build(table["message"], table.get("fields", {})) == send.data for send, table in named)
    assert all(bytes.fromhex(table["bytes"]) == send.data for send, table in told if "bytes" in table)


# -- defects


class WrongAttribute:
    """The device says of every blob that it may be mapped uncached."""

    def device(self, device: Any) -> Any:
        class Says(Wrapper):
            def handle(self, chain: Chain) -> Any:
                answer = self.inner.handle(chain)
                return answer if answer is None or isinstance(answer, Used) else self._changed(answer)

            def _changed(self, steps: Any) -> Any:
                used = yield from steps
                if used is None or used.written[:4] != CtrlType.RESP_OK_MAP_INFO.to_bytes(4, "little"):
                    return used
                return Used(used.head, used.queue, used.written[:24] + b"\2" + used.written[25:])

        return Says(device)


class Forgetful:
    """The link loses every answer to an unmap."""

    def link(self, link: Any) -> Any:
        class Loses(Wrapper):
            def used(self, used: Used) -> list[Used]:
                return [] if used.head == 2 else [used]

        return Loses(link)


@pytest.mark.parametrize("defect", [WrongAttribute, Forgetful])
def test_scenario_fails_with_the_defect_and_passes_without(defect: type) -> None:
    text = text_of(MAPPED)
    assert not fails_with(text, [])
    assert fails_with(text, [defect])


def test_defect_of_a_file_is_planted_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from vgpu_emu.cli.run import run as run_command

    file = tmp_path / "found.vgpu.toml"
    file.write_text(text_of(MAPPED))
    assert run_command([str(file)]) == 0
    assert run_command([str(file)], defect=[f"{__file__}:WrongAttribute"]) == 1
    assert "writecombine" in capsys.readouterr().out


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
