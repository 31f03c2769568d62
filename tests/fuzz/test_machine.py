"""The trio machine as a target: clean programs have no finding, whatever fails; each seam reaches it."""

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from task_defects import Breeding, Hurried, Reentrant, Tasked, Unfailing

from vgpu_emu.cli import main
from vgpu_emu.faults.plan import CallFails, Delay, Drop, Duplicate, Fault, HostDies, HostHangs, LieAttribute, ReadOnlyFd
from vgpu_emu.fuzz import machine_trial, trial
from vgpu_emu.fuzz.actions import Break, Call, Elapse, Fail, Program, Reset, Restart, Schedule, Send
from vgpu_emu.fuzz.comparing import under
from vgpu_emu.fuzz.corpus import save
from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.encoding import encode
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.machine import faults_of
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.targets import target
from vgpu_emu.fuzz.trial import Conditions, Result
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.simulation import Simulation
from vgpu_wire.blob import MapCache
from vgpu_wire.context_stream import StreamAlloc
from vgpu_wire.control import CtrlFlag, CtrlType
from vgpu_wire.render import CmdSubmit, CtxCreate
from vgpu_wire.resource import ResourceCreate2D, ResourceUnref

MACHINE, PROCESS = Conditions(target="machine"), Conditions(target="process")
#: a guest program that maps a blob and works with it
USE = (
    Call("open"),
    Call("blob"),
    Call("mmap"),
    Call("store", (0, 1, 2)),
    Call("execbuffer", (0, 0, 500)),
    Call("load", (0, 1)),
)
BLOB = Program(Setup(real=True), USE)


def explored(seed: int) -> Result:
    swarm = Swarm(Random(seed))
    return machine_trial.explore(swarm, swarm.setup, 20, MACHINE)


def test_clean_machine_has_no_finding_whatever_its_links_do() -> None:
    results = [explored(seed) for seed in range(12)]
    assert [result.found for result in results] == [None] * len(results)
    assert any(faults_of(result.program.steps) for result in results)
    assert sum((result.evaluated for result in results), Counter[str]())["I10"] > 12


@pytest.mark.parametrize(("seed", "others"), [(3, 0), (4, 1), (16, 4)])
def test_program_is_compared_with_one_thread_and_by_its_seed_with_other_schedules(seed: int, others: int) -> None:
    result = machine_trial.run(under(BLOB, seed), MACHINE)
    assert result.found is None
    assert (result.evaluated["I32"], result.evaluated["I33"]) == (1, others)


def test_same_program_has_the_same_answers_in_one_thread_and_under_every_schedule() -> None:
    digests = {machine_trial.once(under(BLOB, seed), MACHINE).digest for seed in range(20)}
    assert digests == {trial.run(BLOB).digest}


def test_what_the_driver_does_about_the_answers_of_a_restart_is_the_same_in_one_thread() -> None:
    """Work that was gone with its context holds back the object's end until another VMM asks about the fence."""
    used = (Call("open"), Call("image"), Call("execbuffer", (0, 0, 0, 1)), Call("close_file"), Restart())
    program = Program(Setup(), (*used, Send(ResourceCreate2D(resource_id=2).build())))
    assert machine_trial.once(program, MACHINE).digest == trial.run(program).digest


@pytest.mark.parametrize("middle", [Restart(), Elapse(1000), Break(Drop(message="RESOURCE_MAP_BLOB"))])
def test_life_goes_on(middle: Any) -> None:
    result = machine_trial.run(Program(BLOB.setup, (*USE, middle, *USE)), MACHINE)
    assert result.found is None
    assert result.commands > 10


def test_device_is_reset_under_raw_requests() -> None:
    context = Send(CtxCreate(ctx_id=1).build())
    result = machine_trial.run(Program(Setup(), (context, Reset(), context)), MACHINE)
    assert result.found is None
    assert result.commands == 2


@pytest.mark.parametrize(
    "fault", [HostDies(message="EXPORT_BLOB"), Drop(link="fences"), Duplicate(link="renderer", message="FENCE")]
)
def test_after_a_fault_the_reference_asks_for_answers_and_no_more(fault: Fault) -> None:
    result = machine_trial.run(Program(BLOB.setup, (Break(fault), *USE)), MACHINE)  # type: ignore[arg-type]
    assert result.found is None


def test_driver_that_gives_up_waiting_for_a_capset_has_none() -> None:
    late = Break(Delay(skip=2, times=5, seconds=30.0))
    result = machine_trial.run(Program(Setup(), (late, Call("probe"))), MACHINE)
    assert result.found is None


class Smudging:
    """A device that leaves something in the padding when it refuses to unref."""

    def device(self, device: Any) -> Any:
        unref = CtrlType.RESOURCE_UNREF.to_bytes(4, "little")

        class Smudges(Wrapper):
            def handle(self, chain: Chain) -> Any:
                used = self.inner.handle(chain)
                is_refused = chain.readable[:4] == unref and isinstance(used, Used)
                return Used(used.head, used.queue, used.written[:21] + b"\1\0\0") if is_refused else used

        return Smudges(device)


def test_after_a_fault_answers_must_still_have_the_form_of_answers() -> None:
    dies = Break(HostDies(message="EXPORT_BLOB"))
    found = machine_trial.run(
        Program(BLOB.setup, (dies, *USE, REFUSED)), Conditions(target="machine", defects=(Smudging,))
    ).found
    assert found is not None
    assert found.oracle == "I18"


@pytest.mark.parametrize("call", [Call("execbuffer"), Call("blob")])
def test_command_that_the_host_hangs_at_is_in_the_snapshot_of_the_vmm_that_waited_for_it(call: Call) -> None:
    hangs = Break(
        HostHangs(message="CTX_CREATE" if call.name == "execbuffer" else "CREATE_BLOB", answer=True, seconds=1.0)
    )
    assert machine_trial.run(Program(Setup(), (hangs, Call("open"), call, Restart())), MACHINE).found is None


def test_blob_that_a_fault_keeps_from_being_mapped_again_is_no_fault_of_the_snapshot() -> None:
    steps = (Break(ReadOnlyFd(skip=1)), Call("open"), Call("blob"), Restart())
    assert machine_trial.run(Program(Setup(), steps), MACHINE).found is None


def test_fault_does_not_hit_the_kernel_that_closes_what_a_host_has_lost() -> None:
    fails = Break(CallFails(message="CREATE_BLOB", call="close", errno="ENOENT"))
    steps = (fails, Call("open"), Fail(skip=2, lose=True), Call("blob"))
    assert machine_trial.run(Program(Setup(), steps), MACHINE).found is None


def test_fence_that_a_host_lies_about_may_never_be_signalled() -> None:
    memory = StreamAlloc(exporter=1, blob_id=1, size=4096).build()
    no_work = Send(CmdSubmit(ctx_id=1, flags=CtrlFlag.FENCE, fence_id=1, size=len(memory), commands=memory).build())
    lies = Break(LieAttribute(message="FENCE", value=3))
    program = Program(Setup(), (lies, Send(CtxCreate(ctx_id=1).build()), no_work))
    assert machine_trial.run(program, MACHINE).found is None


def test_processes_answer_as_tasks_do() -> None:
    result = target("process").run(Program(Setup(), USE), PROCESS)
    assert result.found is None
    assert result.evaluated["I32"] == 1


# -- a defect for each seam


class LosesAnswers(Wrapper):
    """The link."""

    def used(self, used: Used) -> list[Used]:
        return [] if used.head == 3 else [used]


class SaysTwice(Wrapper):
    def available(self, chain: Chain) -> list[Chain]:
        return [chain, chain]


class Linked:
    def link(self, link: Any) -> Any:
        return LosesAnswers(link)


class Unwilling:
    """A renderer that signals nothing."""

    def renderer(self, renderer: Any) -> Any:
        due = renderer.rings.due
        renderer.rings.due = lambda now: due(now)[:0]
        return renderer


class Unkept:
    """A VMM that forgets its displays' sizes when it is stopped."""

    def snapshot(self, data: bytes) -> bytes:
        state = msgspec.json.decode(data)
        for scanout in state["scanouts"]:
            scanout["width"] = 1
        return msgspec.json.encode(state)


class Doubled:
    def link(self, link: Any) -> Any:
        return SaysTwice(link)


class Uncached:
    """A driver that takes no attribute for another."""

    def driver(self, driver: Any) -> Any:
        complete = driver.complete

        def completes(used: Used) -> None:
            if used.written[:4] == CtrlType.RESP_OK_MAP_INFO.to_bytes(4, "little"):
                used = Used(
                    used.head, used.queue, used.written[:24] + bytes([MapCache.UNCACHED.value]) + used.written[25:]
                )
            complete(used)

        driver.complete = completes
        return driver


class Silent:
    """A device that hears no signal."""

    def device(self, device: Any) -> Any:
        class Dumb(Wrapper):
            def signal(self, _timeline: Any, _fence_id: int) -> list[Used]:
                return []

        return Dumb(device)


@pytest.mark.parametrize(
    ("defect", "oracle"),
    [
        (Linked, "I19"),
        (Doubled, "I19"),
        (Uncached, "I2"),
        (Silent, "I19"),
        (Unwilling, "I19"),
        (Unkept, "I30"),
    ],
)
def test_each_seam_reaches_the_machine(defect: type, oracle: str) -> None:
    found = machine_trial.run(
        Program(BLOB.setup, (*USE, Restart())), Conditions(target="machine", defects=(defect,))
    ).found
    assert found is not None
    assert found.oracle == oracle


REFUSED = Send(ResourceUnref(resource_id=9).build())
CONTEXT = Send(CtxCreate(ctx_id=1).build())
#: oracle -> what finds it at once, and its defect
OF_TASKS = {
    "I25": (Reentrant, (Schedule(1), CONTEXT, REFUSED)),
    "I27": (Unfailing, (Break(HostDies(message="CREATE_BLOB")), *USE[:1], Call("execbuffer", (0, 0, 999)), *USE)),
    "I32": (Tasked, (Schedule(2), REFUSED)),
    "I33": (Hurried, (Schedule(0), REFUSED, REFUSED)),
}


@pytest.mark.parametrize("oracle", OF_TASKS)
def test_oracles_of_tasks_fire(oracle: str) -> None:
    defect, steps = OF_TASKS[oracle]
    program = Program(Setup(), steps)
    assert machine_trial.run(program, MACHINE).found is None
    result = machine_trial.run(program, Conditions(target="machine", defects=(defect,)))
    assert result.found is not None
    assert result.found.oracle == oracle


def test_oracle_of_tasks_fires_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    defect, steps = OF_TASKS["I32"]
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "corpus", [encode(Program(Setup(), steps))])
    file = Path(__file__).with_name("task_defects.py")
    line = f"--target machine --sequences 1 --corpus corpus --json --defect {file}:{defect.__name__}"
    assert main(["fuzz", *line.split()]) == 1
    said = json.loads(capsys.readouterr().out)
    assert "I32" in [finding["oracle"] for finding in said["findings"]]
    assert said["oracles"]["I32"]


def test_task_that_is_left_is_a_finding() -> None:
    found = machine_trial.run(BLOB, Conditions(target="machine", defects=(Breeding,))).found
    assert found is not None
    assert found.oracle == "I27"


def test_order_of_tasks_is_the_program_s() -> None:
    result = machine_trial.explore(Swarm(Random(4)), Setup(), 3, MACHINE)
    assert isinstance(result.program.steps[0], Schedule)


def test_program_has_the_order_of_tasks_that_it_had_when_it_was_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    schedules: list[Random] = []

    class Kept(Simulation):
        def random(self, purpose: str) -> Random:
            schedules.append(super().random(purpose))
            return schedules[-1]

    monkeypatch.setattr(machine_trial, "Simulation", Kept)
    swarm = Swarm(Random(8))
    weather = [Schedule(3), Break(Drop(message="RESOURCE_MAP_BLOB")), Break(HostDies(message="SUBMIT", skip=5))]
    monkeypatch.setattr(swarm, "weather", lambda: weather)
    made = machine_trial.explore(swarm, Setup(), 20, MACHINE)
    again = machine_trial.once(made.program, MACHINE)
    assert made.digest == again.digest
    assert schedules[0].getstate() == schedules[1].getstate()
