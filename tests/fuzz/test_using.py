"""What made-up programs do on purpose: the same once more, and work that takes long."""

from collections.abc import Iterator
from random import Random

from vgpu_emu.fuzz.actions import Poke, Program, Send
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.model.world import World
from vgpu_emu.fuzz.trial import Conditions, explore
from vgpu_emu.fuzz.using import again
from vgpu_wire.context_stream import StreamWork
from vgpu_wire.control import CtrlType
from vgpu_wire.resource import TransferToHost2D

_TO_HOST = {CtrlType.TRANSFER_TO_HOST_2D.value, CtrlType.TRANSFER_TO_HOST_3D.value}


def made_up(count: int) -> Iterator[Program]:
    for number in range(count):
        swarm = Swarm(Random(f"using/{number}"))
        yield explore(swarm, swarm.setup, 20, Conditions()).program


def test_transfer_is_done_once_more_of_other_bytes() -> None:
    found = [
        (first, second)
        for program in made_up(150)
        for first, stored, second in zip(program.steps, program.steps[1:], program.steps[2:], strict=False)
        if isinstance(first, Send) and isinstance(stored, Poke) and first == second
    ]
    assert found
    assert all(int.from_bytes(first.data[:4], "little") in _TO_HOST for first, _ in found)


def test_work_takes_more_than_16_bits_of_microseconds() -> None:
    long = [StreamWork(microseconds=us).build() for us in (0x10000, 150_000)]
    sent = [step.data for program in made_up(150) for step in program.steps if isinstance(step, Send)]
    assert any(each in data for data in sent for each in long)


def test_what_has_no_memory_is_not_transferred_again() -> None:
    swarm = Swarm(Random(0))
    assert not again(TransferToHost2D(resource_id=7).build(), World(swarm.setup), Random(0))
