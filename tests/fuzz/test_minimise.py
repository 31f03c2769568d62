"""What is made small: steps that need each other, steps that others count, command streams that may be one."""

from vgpu_emu.drive.requests import PAGE, submit
from vgpu_emu.fuzz.actions import Call, Elapse, Program, Restart, Send, Step
from vgpu_emu.fuzz.minimise import minimise
from vgpu_emu.fuzz.model.world import Setup
from vgpu_wire.context_stream import StreamAlloc, stream_commands
from vgpu_wire.errors import WireError
from vgpu_wire.render import CmdSubmit


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
