"""What is made small: steps that need each other, steps that others count, command streams that may be one."""

import pytest

from vgpu_emu.drive.requests import PAGE, host_blob, submit
from vgpu_emu.fuzz.actions import Call, Elapse, Program, Restart, Send, Step
from vgpu_emu.fuzz.defects.deeper import CachedWhenMany
from vgpu_emu.fuzz.defects.requests import DetachedFromAll
from vgpu_emu.fuzz.minimise import minimise
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.trial import Conditions, commands, run
from vgpu_emu.fuzz.worker import minimised
from vgpu_wire.blob import ResourceMapBlob
from vgpu_wire.context_stream import StreamAlloc, stream_commands
from vgpu_wire.errors import WireError
from vgpu_wire.render import CmdSubmit, CtxCreate


def small(*steps: Step, fails: object) -> tuple[Step, ...]:
    assert callable(fails)
    return minimise(Program(Setup(), steps), lambda program: bool(fails(program.steps))).steps


def test_two_steps_that_need_each_other_go_together() -> None:
    def fails(steps: tuple[Step, ...]) -> bool:
        return Call("open") in steps and steps.count(Restart()) == steps.count(Elapse(0)) + 1

    assert small(Restart(), Elapse(0), Restart(), Call("open"), fails=fails) == (Restart(), Call("open"))


def test_call_means_the_same_object_when_one_before_it_is_not_made() -> None:
    def fails(steps: tuple[Step, ...]) -> bool:
        blobs = sum(isinstance(step, Call) and step.name == "blob" for step in steps)
        return bool(steps) and steps[-1] in {Call("mmap", (blobs - 1,)), Call("mmap", ()) if blobs == 1 else None}

    found = small(*[Call("blob")] * 3, Call("mmap", (2,)), fails=fails)
    assert found == (Call("blob"), Call("mmap"))


def test_command_streams_of_a_context_are_one() -> None:
    def allocated(steps: tuple[Step, ...]) -> int:
        try:
            streams = [CmdSubmit.parse(step.data).commands for step in steps if isinstance(step, Send)]
        except WireError:
            return 0
        return sum(1 for stream in streams for _command in stream_commands(stream))

    objects = [StreamAlloc(exporter=1, blob_id=number, size=PAGE) for number in (1, 2, 3)]
    steps = [Send(submit(1, command).build()) for command in objects]
    (one,) = small(*steps, fails=lambda steps: allocated(steps) == 3)
    assert isinstance(one, Send)
    assert list(stream_commands(CmdSubmit.parse(one.data).commands)) == objects


@pytest.mark.parametrize(("blobs", "number"), [(5, 59), (7, 13), (7, 34), (9, 8)])
def test_call_means_what_it_did_however_far_its_number_was_counted(blobs: int, number: int) -> None:
    def fails(steps: tuple[Step, ...]) -> bool:
        made = sum(isinstance(step, Call) and step.name == "blob" for step in steps)
        last = steps[-1] if steps else None
        return isinstance(last, Call) and last.name == "mmap" and (*last.numbers, 0)[0] % max(made, 1) == made - 1 >= 1

    found = small(*[Call("blob")] * blobs, Call("mmap", (number,)), fails=fails)
    assert found == (*[Call("blob")] * 2, Call("mmap", (1,)))


def test_what_two_contexts_do_one_does() -> None:
    def contexts(steps: tuple[Step, ...]) -> list[int]:
        return [CmdSubmit.parse(step.data).ctx_id for step in steps if isinstance(step, Send) and step.data[0] == 7]

    def fails(steps: tuple[Step, ...]) -> bool:
        made = [CtxCreate.parse(step.data).ctx_id for step in steps if isinstance(step, Send) and step.data[0] == 0]
        return len(contexts(steps)) == 2 and set(contexts(steps)) <= set(made)

    steps = [Send(CtxCreate(ctx_id=number).build()) for number in (1, 2)]
    found = small(*steps, *(Send(submit(number).build()) for number in (1, 2)), fails=fails)
    assert len(found) == 3
    assert contexts(found) == [1, 1]


def test_command_that_only_takes_time_is_time() -> None:
    def fails(steps: tuple[Step, ...]) -> bool:
        late = any(step == Call("wait") or (isinstance(step, Elapse) and step.microseconds > 5) for step in steps)
        return late and Call("open") in steps

    assert small(Call("open"), Call("wait"), fails=fails) == (Call("open"), Elapse(999))


def test_device_that_is_full_sooner_has_shorter_programs() -> None:
    def fails(program: Program) -> bool:
        return commands(program) > program.setup.fences

    program = minimise(Program(Setup(), (Call("open"),) * 20), fails)
    assert program.steps == (Call("open"),) * 2
    assert program.setup == Setup(fences=1)


def test_region_that_is_full_sooner_has_shorter_programs() -> None:
    def fails(program: Program) -> bool:
        return commands(program) * PAGE > program.setup.host_visible

    program = minimise(Program(Setup(host_visible=1 << 16), (Call("open"),) * 20), fails)
    assert program.steps == (Call("open"),) * 2
    assert program.setup == Setup(host_visible=PAGE)


def test_many_requests_are_a_few_calls() -> None:
    objects = [StreamAlloc(exporter=1, blob_id=number, size=PAGE) for number in (1, 2, 3, 4)]
    requests = [CtxCreate(ctx_id=1), submit(1, *objects), *(host_blob(number) for number in (1, 2, 3, 4))]
    maps = [ResourceMapBlob(resource_id=number, offset=number * PAGE) for number in (1, 2, 3, 4)]
    program = Program(Setup(), tuple(Send(request.build()) for request in (*requests, *maps)))
    conditions = Conditions(defects=(CachedWhenMany,))
    found = run(program, conditions).found
    assert found is not None
    assert minimised(program, found, conditions).steps == (Call("open"), *[Call("blob")] * 4)


def test_what_the_end_of_a_guest_program_undoes_is_seen_before_it_ends() -> None:
    steps = (Call("open"), Call("blob"), Call("open"), Call("blob", (1,)), Call("share", (0, 1)))
    found = run(Program(Setup(memory=1 << 21), (*steps, Call("close_handle"))), Conditions(defects=(DetachedFromAll,)))
    assert found.found is not None
    assert found.found.oracle == "I10"


def test_command_stream_has_only_the_commands_that_count() -> None:
    def allocated(steps: tuple[Step, ...]) -> list[int]:
        try:
            streams = [CmdSubmit.parse(step.data).commands for step in steps if isinstance(step, Send)]
        except WireError:
            return []
        commands = [command for stream in streams for command in stream_commands(stream)]
        return [command.blob_id for command in commands if isinstance(command, StreamAlloc)]

    objects = [StreamAlloc(exporter=1, blob_id=number, size=PAGE) for number in (1, 2, 3, 4)]
    found = small(Send(submit(1, *objects).build()), fails=lambda steps: {2, 4} <= set(allocated(steps)))
    assert allocated(found) == [2, 4]
