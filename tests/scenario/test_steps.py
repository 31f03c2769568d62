"""Steps that are more than one call of the guest: side by side, one after the other, later; and what they may name."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

import pytest
import trio
from scenario_kit import BLOB, HEAD, MMAP, differs, play

from vgpu_emu.assembly import Config
from vgpu_emu.faults.plan import Fault
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.processes.party import PartyLostError
from vgpu_emu.scenario.loading import loads
from vgpu_emu.scenario.mistakes import ScenarioMistake
from vgpu_emu.scenario.outcome import Result
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.session import run
from vgpu_emu.trace.log import CONTROLQ, GUEST, Message
from vgpu_wire.messages import parse_message

TWO = """
[[step]]
do = "open"
as = "a"
[[step]]
do = "open"
as = "b"
[[step]]
do = "parallel"
steps = [
    { do = "create-blob", file = "a", exporter = "wc", as = "x" },
    { do = "create-blob", file = "b", exporter = "cached", as = "y", %s },
]
"""


def scenario(steps: str) -> Scenario:
    return loads(HEAD + steps)[0]


def contexts(seed: int) -> list[int]:
    """The contexts of the requests, in the order in which they crossed."""
    outcome = run(scenario(TWO % "size = 0x1000"), seed=seed)
    assert differs(outcome) == []
    messages = (event for event in outcome.events if isinstance(event, Message) and event.link == CONTROLQ)
    return [parse_message(m.data).ctx_id for m in messages if m.sender == GUEST]


def test_seed_chooses_who_of_parallel_programs_comes_first() -> None:
    orders = {tuple(contexts(seed)) for seed in range(20)}
    assert len(orders) > 1
    assert contexts(7) == contexts(7)


def test_same_seed_gives_the_same_hash() -> None:
    hashes = [run(scenario(TWO % "size = 0x1000"), seed=seed).trace_hash for seed in (3, 3)]
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 64


def test_step_inside_of_parallel_fails_with_its_own_path() -> None:
    outcome = run(scenario(TWO % 'expect.errno = "EIO"'))
    assert outcome.failure is not None
    assert outcome.failure.path == "step[2].steps[1]"
    assert differs(outcome) == [("errno", "EIO", "success")]


def test_step_inside_of_another_expects_no_conflict() -> None:
    with pytest.raises(ScenarioMistake, match="a conflict is expected of the step around it"):
        scenario(TWO % "expect.conflict = true")


def test_sequence_stops_at_its_first_failure() -> None:
    inner = '{ do = "mmap", of = "blob", expect.pgprot = "cached" }, { do = "sleep", seconds = 1 }'
    outcome = play(BLOB + f'[[step]]\ndo = "sequence"\nsteps = [{inner}]\n')
    assert outcome.failure is not None
    assert outcome.failure.path == "step[1].steps[0]"
    assert not any("sleep" in str(event) for event in outcome.events)


def test_sleep_longer_than_any_call_is_no_hang() -> None:
    assert differs(play('[[step]]\ndo = "sleep"\nseconds = 100_000\nexpect.seconds = 100_000\n')) == []


def test_name_of_a_step_that_failed_as_expected_stands_for_nothing() -> None:
    refused = BLOB + "flags = []\n" + MMAP + 'expect.errno = "EINVAL"\n'
    outcome = play(refused + '[[step]]\ndo = "munmap"\nof = "view"\n')
    assert differs(outcome) == [
        ("of", "something that can be done", "view is nothing: the step that gives it failed, as it was expected to")
    ]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("{ resource = 5 }", "virtio_gpu_resource_map_blob has no resource; did you mean resource_id?"),
        ("{ offset = -1 }", "value at offset 32, virtio_gpu_resource_map_blob.offset: -1 is no value for 8 bytes"),
        ("{ offset = 0x10000000000000000 }", "is no value for 8 bytes"),
        ('{ offset = "far" }', "is no value for 8 bytes"),
    ],
)
def test_raw_message_that_cannot_be_built(fields: str, says: str) -> None:
    ((what, _, actual),) = differs(play(f'[[step]]\ndo = "raw"\nmessage = "RESOURCE_MAP_BLOB"\nfields = {fields}\n'))
    assert what == "fields"
    assert says in actual


def test_raw_message_names_what_steps_have_given() -> None:
    steps = BLOB + '[[step]]\ndo = "raw"\nmessage = "CTX_DETACH_RESOURCE"\n'
    steps += 'fields = { ctx_id = "program", resource_id = "blob" }\nexpect.response = "RESP_OK_NODATA"\n'
    assert differs(play(steps + 'expect.trace = ["CTX_DETACH_RESOURCE ctx 1, resource_id 2"]\n')) == []


def test_raw_message_counts_what_follows() -> None:
    entries = "entries = [{ addr = 0x100000, length = 0x1000 }, { addr = 0x102000, length = 0x1000 }]"
    steps = '[[step]]\ndo = "raw"\nmessage = "RESOURCE_CREATE_BLOB"\n'
    blob = 'resource_id = 9, blob_mem = "guest", blob_flags = ["shareable"], size = 0x2000'
    steps += f"fields = {{ {blob}, {entries} }}\n"
    assert differs(play(steps + 'expect = { response = "RESP_OK_NODATA", trace = ["nr_entries 2"] }\n')) == []


def test_step_is_told_as_it_is_written() -> None:
    entries = "entries = [{ addr = 0x10000, length = 16 }, { addr = 0, length = 32 }]"
    fields = f'{{ resource_id = "blob", {entries} }}'
    steps = f'[[step]]\ndo = "raw"\nmessage = "RESOURCE_ATTACH_BACKING"\nfields = {fields}\n'
    assert scenario(BLOB + steps).step[1].title == f"raw message RESOURCE_ATTACH_BACKING, fields {fields}"


def test_raw_message_with_a_count_that_is_wrong() -> None:
    steps = '[[step]]\ndo = "raw"\nmessage = "RESOURCE_ATTACH_BACKING"\n'
    steps += "fields = { resource_id = 9, nr_entries = 3, entries = [{ addr = 0, length = 16 }] }\n"
    outcome = play(steps + 'expect.rule = "ENTRIES_WHOLE"\n')
    assert differs(outcome) == []
    request = next(event for event in outcome.events if isinstance(event, Message))
    assert request.data[24:] == bytes.fromhex("09000000 03000000 0000000000000000 10000000 00000000")


@pytest.mark.parametrize("count", ["-1", "0x100000000", '"many"'])
def test_raw_message_with_a_count_that_is_no_number_of_its_size(count: str) -> None:
    steps = f'[[step]]\ndo = "raw"\nmessage = "SUBMIT_3D"\nfields = {{ ctx_id = 1, size = {count} }}\n'
    assert differs(play(steps)) == [("fields", "something that can be done", "size is a number below 0x100000000")]


def test_raw_message_of_the_cursorq_goes_there() -> None:
    steps = '[[step]]\ndo = "raw"\nmessage = "MOVE_CURSOR"\ncapacity = 24\n'
    assert differs(play(steps + 'expect = { response = "RESP_OK_NODATA" }\n')) == []
    wrong = '[[step]]\ndo = "raw"\nmessage = "MOVE_CURSOR"\nqueue = "controlq"\n'
    assert differs(play(wrong + 'expect = { rule = "COMMAND_KNOWN" }\n')) == []


def test_virtqueues_tell_the_same_story() -> None:
    steps = BLOB + MMAP + 'expect.pgprot = "writecombine"\n'
    through_rings = play(steps, "hardware.virtqueues = true\n")
    assert differs(through_rings) == []
    assert through_rings.trace_hash == play(steps).trace_hash


async def test_scenario_runs_under_the_clock_of_the_caller(autojump_clock: trio.abc.Clock) -> None:
    from vgpu_emu.scenario.running import play as play_here

    outcome = await play_here(scenario('[[step]]\ndo = "sleep"\nseconds = 5\n'))
    assert outcome.failure is None
    assert trio.current_time() >= 5


def test_hang_outside_of_the_steps_is_a_failure_that_says_who_waits() -> None:
    @asynccontextmanager
    async def opener(config: Config, *, faults: Iterable[Fault]) -> AsyncGenerator[Machine, None]:
        async with open_machine(config, faults=faults) as machine:
            await trio.sleep_forever()
            yield machine

    (scenario,) = loads(HEAD + BLOB)
    outcome = run(scenario, opener=opener)
    assert outcome.result is Result.FAIL
    assert outcome.detail.startswith("nothing can happen any more: ")
    assert "Traceback" not in outcome.detail


def test_party_that_is_lost_among_other_things_is_a_failure_in_one_sentence() -> None:
    lost = PartyLostError("vmm", 7, "Handle", "was killed by SIGKILL")

    @asynccontextmanager
    async def opener(config: Config, *, faults: Iterable[Fault]) -> AsyncGenerator[Machine, None]:
        async with open_machine(config, faults=faults) as machine:
            yield machine
        raise ExceptionGroup("nursery", [lost])

    (scenario,) = loads(HEAD + BLOB)
    outcome = run(scenario, opener=opener)
    assert (outcome.result, outcome.detail) == (Result.FAIL, str(lost))


KNOWS = '[[step]]\ndo = "rebind"\nfeatures = '


@pytest.mark.parametrize(
    ("knows", "wrong"),
    [
        ('["virgl", "resource_blob"]', []),
        ('["virgl"]', [("errno", "success", "EINVAL (F_RESOURCE_BLOB was not negotiated)")]),
        (
            '["context_init"]',
            [("features", "something that can be done", "the device refuses these features: CONTEXT_INIT")],
        ),
    ],
)
def test_driver_that_is_bound_again_accepts_what_it_knows(knows: str, wrong: list[tuple[str, str, str]]) -> None:
    assert differs(play(f"{KNOWS}{knows}\n{BLOB}")) == wrong


def test_driver_that_is_bound_again_knows_all_where_nothing_is_said() -> None:
    assert differs(play(f'{KNOWS}["virgl"]\n[[step]]\ndo = "rebind"\n{BLOB}')) == []
