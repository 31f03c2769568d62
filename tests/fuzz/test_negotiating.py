"""Drivers one after the other that accept different features: what is closed by now is refused, what is open is not."""

from collections.abc import Callable
from random import Random

import pytest

from vgpu_emu.drive.requests import create_2d
from vgpu_emu.fuzz import machine_trial, trial
from vgpu_emu.fuzz.actions import Call, Program, Reset, Restart, Send, Step
from vgpu_emu.fuzz.configuring import features_of
from vgpu_emu.fuzz.core import Core
from vgpu_emu.fuzz.defects.deeper import ClosedGatesStayOpen
from vgpu_emu.fuzz.happening import Happenings
from vgpu_emu.fuzz.minimise import minimise
from vgpu_emu.fuzz.model.setup import Setup, with_needs
from vgpu_emu.fuzz.model.world import World
from vgpu_emu.fuzz.mutate import mutated
from vgpu_emu.fuzz.trial import Conditions, Result
from vgpu_wire.blob import ResourceCreateBlob
from vgpu_wire.control import FIRST_ERROR, CtrlHdr
from vgpu_wire.device import Feature
from vgpu_wire.display import GetEdid
from vgpu_wire.render import CtxCreate, GetCapsetInfo
from vgpu_wire.resource import ResourceAssignUuid

MACHINE = Conditions(target="machine")
PLANTED = Conditions(defects=(ClosedGatesStayOpen,))
PLANTED_IN_TASKS = Conditions(target="machine", defects=PLANTED.defects)
GUEST_BLOB = ResourceCreateBlob(resource_id=1, blob_mem=1, size=4096)
#: a request that there is with a feature, or that then may be as it is, and what goes before it
NEEDS: list[tuple[Feature, tuple[CtrlHdr, ...]]] = [
    (Feature.VIRGL, (GetCapsetInfo(),)),
    (Feature.VIRGL, (CtxCreate(ctx_id=1),)),
    (Feature.EDID, (GetEdid(),)),
    (Feature.RESOURCE_UUID, (create_2d(1), ResourceAssignUuid(resource_id=1))),
    (Feature.RESOURCE_BLOB, (GUEST_BLOB,)),
    (Feature.CONTEXT_INIT, (CtxCreate(ctx_id=1, context_init=4),)),
]


def without(feature: Feature) -> int:
    return with_needs(0x3F & ~(1 << feature))


def sent(*requests: CtrlHdr) -> list[Step]:
    return [Send(request.build()) for request in requests]


def in_one_thread(*steps: Step) -> Result:
    return trial.run(Program(Setup(), steps))


def in_tasks(*steps: Step) -> Result:
    return machine_trial.run(Program(Setup(), steps), MACHINE)


def refusals(result: Result) -> int:
    """How many kinds of request in how many states were refused. Nothing was found."""
    assert result.found is None
    return sum(answer >= FIRST_ERROR for _number, _why, _state, answer in result.covered)


@pytest.mark.parametrize("carry_out", [in_one_thread, in_tasks])
@pytest.mark.parametrize(("feature", "requests"), NEEDS)
def test_gate_closes_with_a_driver_that_does_not_know_it_and_opens_with_the_next(
    carry_out: Callable[..., Result], feature: Feature, requests: tuple[CtrlHdr, ...]
) -> None:
    steps, less = sent(*requests), Reset(without(feature))
    assert refusals(carry_out(*steps)) == 0
    assert refusals(carry_out(*steps, less, *steps)) == 1
    assert refusals(carry_out(less, Restart(), *steps)) == 1
    assert refusals(carry_out(less, Reset(), *steps)) == 0


def test_sizes_of_blobs_are_aligned_for_a_driver_that_knows_of_it() -> None:
    setup, blob = Setup(blob_alignment=1 << 14), sent(GUEST_BLOB)
    assert refusals(trial.run(Program(setup, (*blob,)))) == 1
    assert refusals(trial.run(Program(setup, (Reset(without(Feature.BLOB_ALIGNMENT)), *blob)))) == 0


@pytest.mark.parametrize(("feature", "requests"), NEEDS[:5])
def test_gate_that_stays_open_is_found(feature: Feature, requests: tuple[CtrlHdr, ...]) -> None:
    program = Program(Setup(), (Reset(without(feature)), *sent(*requests)))
    for found in (trial.run(program, PLANTED).found, machine_trial.run(program, PLANTED_IN_TASKS).found):
        assert found is not None
        assert found.oracle == "I35"
    assert trial.run(Program(Setup(), (Reset(), *sent(*requests))), PLANTED).found is None


def test_gate_that_another_vmm_closes_is_found() -> None:
    found = trial.run(Program(Setup(), (Reset(without(Feature.EDID)), Restart())), PLANTED).found
    assert found is not None
    assert found.oracle == "I30"


@pytest.mark.parametrize("carry_out", [trial.run, machine_trial.run])
@pytest.mark.parametrize("features", [0, 0x02, 0x0E])
def test_guest_program_finds_what_its_driver_accepted(carry_out: Callable[..., Result], features: int) -> None:
    calls = [
        Call(name) for name in ("open", "probe", "blob", "guest_blob", "dumb", "context_init", "capset", "hotplug")
    ]
    program = Program(Setup(real=True, memory=1 << 18), (Reset(features), *calls))
    assert carry_out(program).found is None
    plain = Program(program.setup, (Reset(features), Reset(), *calls))
    assert carry_out(plain).commands > carry_out(program).commands


def test_driver_has_what_it_accepted_of_what_it_knows() -> None:
    core = Core(Setup(features=0x0F))
    try:
        core.do(Reset(0x3A))
        assert core.driver.features == core.parts.device.features == features_of(0x0A)
        assert core.driver.config.read().num_capsets == 0
        core.do(Reset())
        assert core.driver.features == features_of(0x0F)
        assert core.driver.config.read().num_capsets == 4
    finally:
        core.close()


# -- programs


def test_drivers_that_know_less_are_few_and_lack_nothing_that_they_need() -> None:
    happens, world = Happenings(Random(1)), World(Setup())
    found = [step for _ in range(20_000) if isinstance(step := happens(world), Reset)]
    less = [step.features for step in found if step.features is not None]
    assert 0.1 < len(less) / len(found) < 0.3
    assert len(set(less)) > 20
    assert all(features == with_needs(features) != 0x3F for features in less)


def test_reset_is_made_plain() -> None:
    def small(needs: Callable[[Reset], bool]) -> tuple[Step, ...]:
        def fails(program: Program) -> bool:
            return any(isinstance(step, Reset) and needs(step) for step in program.steps)

        return minimise(Program(Setup(), (Restart(), Reset(0))), fails).steps

    assert small(lambda _reset: True) == (Reset(),)
    assert small(lambda reset: reset.features is not None) == (Reset(0x3F),)
    assert small(lambda reset: not Setup().accepted(reset.features) & 1 << Feature.EDID) == (Reset(0x3D),)


def test_another_driver_comes_in_a_changed_program() -> None:
    program = Program(Setup(), (Reset(),))
    changed = {step for seed in range(200) for step in mutated(program, [program], Random(seed)).steps}
    assert len(changed) > 20
    assert all(isinstance(step, Reset) and step.features in (None, with_needs(step.features or 0)) for step in changed)
