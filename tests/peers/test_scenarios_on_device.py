"""Scenarios on a device behind vhost-user: what it passes, what cannot be asked of it, what its faults become."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager

import pytest
import trio
from lying_backend import Backend, Carry, OurDevice

from vgpu_emu.assembly import Config
from vgpu_emu.faults.plan import Fault
from vgpu_emu.link.chain import Chain
from vgpu_emu.link.device_queue import DeviceQueue
from vgpu_emu.peers.front.machine import DeviceMachine
from vgpu_emu.scenario.loading import loads
from vgpu_emu.scenario.on_device import OnDevice, needed_features, unfit
from vgpu_emu.scenario.outcome import ImpossibleError, Outcome, Result
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.running import play
from vgpu_emu.scenario.session import run_on_device
from vgpu_wire.device import Feature

pytestmark = pytest.mark.usefixtures("nothing_left")
HEAD = 'id = "test@one"\nwhy = "It is a test."\n'
FLUSH = '[[step]]\ndo = "raw"\nmessage = "RESOURCE_FLUSH"\nfields = { resource_id = 5 }\n'
REFUSED = 'expect = { response = "RESP_ERR_INVALID_RESOURCE_ID", rule = "FLUSH_KNOWN" }\n'
DUMB = '[[step]]\ndo = "create-dumb"\nwidth = 64\nheight = 64\nas = "image"\nexpect.response = "RESP_OK_NODATA"\n'


def scenario(steps: str, head: str = "") -> Scenario:
    (found,) = loads(HEAD + head + steps)
    return found


async def on(source: OurDevice, told: Scenario) -> Outcome:
    def opener(_config: Config, *, faults: Iterable[Fault]) -> AbstractAsyncContextManager[DeviceMachine]:
        return OnDevice(source).open(told)

    return await play(told, opener=opener)


def differs(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(m.what, m.expected, m.actual) for m in outcome.failure.mismatches] if outcome.failure else []


async def test_guest_calls_and_raw_messages_end_as_on_our_machine(autojump_clock: trio.testing.MockClock) -> None:
    outcome = await on(OurDevice(), scenario(DUMB + FLUSH + REFUSED))
    assert differs(outcome) == []
    assert (outcome.result, outcome.steps) == (Result.SUCCESS, 2)


async def test_other_answer_is_the_failure_of_its_step(autojump_clock: trio.testing.MockClock) -> None:
    outcome = await on(OurDevice(), scenario(FLUSH + 'expect.response = "RESP_ERR_UNSPEC"\n'))
    assert differs(outcome) == [("response", "RESP_ERR_UNSPEC", "RESP_ERR_INVALID_RESOURCE_ID")]


def failing(how: Callable[[Backend], None]) -> Carry:
    """It fails at RESOURCE_FLUSH."""

    def carry(backend: Backend, queue: DeviceQueue, chains: list[Chain]) -> None:
        if any(chain.readable[:2] == b"\x04\x01" for chain in chains):
            how(backend)
        else:
            backend.answer(queue, chains)

    return carry


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (lambda backend: backend.stream.close(), "the device closed the connection: "),
        (lambda _backend: None, "the device does not answer: no answer in 5 s"),
    ],
)
async def test_device_that_fails_is_the_failure_of_the_step_that_it_had(
    autojump_clock: trio.testing.MockClock, how: Callable[[Backend], None], says: str
) -> None:
    source = OurDevice(failing(how))
    outcome = await on(source, scenario(DUMB + FLUSH + DUMB.replace("image", "other")))
    assert outcome.steps == 2
    assert outcome.failure is not None
    assert outcome.failure.path == "step[1]"
    ((what, expected, actual),) = differs(outcome)
    assert (what, expected) == ("device", "works")
    assert actual.startswith(says)
    assert actual.endswith("after RESOURCE_FLUSH")
    assert (await on(source, scenario(DUMB))).result is Result.SUCCESS


async def test_device_that_fails_when_programs_exit_is_a_failure_of_the_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def carry(backend: Backend, queue: DeviceQueue, chains: list[Chain]) -> None:
        if not any(chain.readable[:2] == b"\x02\x01" for chain in chains):
            backend.answer(queue, chains)

    outcome = await on(OurDevice(carry), scenario(DUMB))
    assert outcome.failure is not None
    assert outcome.failure.path == "end"
    assert differs(outcome)[0][2].endswith("after RESOURCE_UNREF")


def test_displays_memory_and_features_are_as_the_scenario_says() -> None:
    head = 'features = ["edid"]\n[hardware]\nscanouts = [[320, 200], [640, 480]]\nguest_memory = 0x800000\n'
    config = OnDevice(OurDevice(), patience=2.0).config(scenario(DUMB, head))
    assert config.scanouts == ((320, 200), (640, 480))
    assert (config.guest_memory, config.features, config.patience) == (0x800000, frozenset({Feature.EDID}), 2.0)


@pytest.mark.parametrize(
    ("steps", "head", "says"),
    [
        ('[[step]]\ndo = "check"\n', "", "is about the insides of VMM or host"),
        (FLUSH + "expect.conflict = true\n", "", "expects conflict"),
        (FLUSH + 'expect.trace = ["vmm refused"]\n', "", "expects a line that nobody sees"),
        (FLUSH + 'expect.rule = "FLUSH_KNOWN"\n', "", "expects a rule and no response"),
        (f'[[step]]\ndo = "sequence"\nsteps = [{{ do = "snapshot" }}]\n{FLUSH}', "", "snapshot is about the insides"),
        (FLUSH, "[limits]\nresources = 5\n", "it says what limits is"),
        (FLUSH, "[host]\nioctl = false\n", "it says what host is"),
        (FLUSH, "[hardware]\nhost_visible = 0\n", "hardware.host_visible"),
    ],
)
def test_what_no_real_device_lets_one_see_or_choose_is_named(steps: str, head: str, says: str) -> None:
    assert any(says in reason for reason in unfit(scenario(steps, head)))


@pytest.mark.parametrize("line", ["guest -> vmm RESOURCE_FLUSH", "vmm -> guest RESP_OK_NODATA", "guest pgprot"])
def test_what_crosses_the_queues_can_be_expected_of_any_device(line: str) -> None:
    assert list(unfit(scenario(FLUSH + f'expect.trace = ["{line}"]\n'))) == []


@pytest.mark.parametrize(
    ("steps", "head", "needed"),
    [
        (DUMB + FLUSH, "", set()),
        ('[[step]]\ndo = "create-blob"\nmem = "guest"\n', "", {Feature.RESOURCE_BLOB}),
        ('[[step]]\ndo = "context-init"\ncapset = "cross_domain"\n', "", {Feature.VIRGL}),
        ('[[step]]\ndo = "raw"\nmessage = "GET_EDID"\n', "", {Feature.EDID}),
        (DUMB, 'features = ["virgl", "context_init"]\n', {Feature.VIRGL, Feature.CONTEXT_INIT}),
    ],
)
def test_features_are_those_that_are_said_or_needed_by_commands(steps: str, head: str, needed: set[Feature]) -> None:
    assert needed_features(scenario(steps, head)) == needed


async def test_feature_that_is_not_offered_is_a_reason_to_skip(autojump_clock: trio.testing.MockClock) -> None:
    source = OurDevice(features={Feature.EDID})
    with pytest.raises(ImpossibleError, match="the device does not offer RESOURCE_UUID, VIRGL"):
        await on(source, scenario(DUMB, 'features = ["virgl", "resource_uuid"]\n'))


def test_scenario_about_another_vmm_is_skipped_before_the_device_is_asked() -> None:
    source = OurDevice(most=0)
    steps = FLUSH + 'expect.response = "RESP_ERR_UNSPEC"\n'
    outcome = run_on_device(scenario(steps, 'profile = "libkrun"\n'), OnDevice(source))
    assert (outcome.result, source.opened) == (Result.SKIP, 0)
    assert outcome.detail.startswith("it is not about strict")


async def test_region_that_is_not_there_is_a_reason_to_skip(autojump_clock: trio.testing.MockClock) -> None:
    told = scenario('[[step]]\ndo = "getparam"\nparam = "host_visible"\n')
    assert (await on(OurDevice(), told)).result is Result.SUCCESS
    with pytest.raises(ImpossibleError, match="the device has no host visible region"):
        await on(OurDevice(region=0), told)
