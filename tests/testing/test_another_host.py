"""A renderer that shares no code with ours: it passes the check, and stands in its place in every kind of machine."""

import subprocess
import sys

import pytest
import trio.testing
from another_renderer import AnotherRenderer
from support import create_and_mmap, said

import vgpu_emu.testing
from vgpu_emu import Config, DrmFile, Lockstep, Pgprot, open_machine
from vgpu_emu.faults.plan import Drop
from vgpu_emu.testing import DeviceAlone, check_device, check_renderer
from vgpu_wire.context_stream import StreamWork
from vgpu_wire.control import CtrlType
from vgpu_wire.render import CtxCreate

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_it_passes_the_check() -> None:
    check_renderer(AnotherRenderer)


def test_its_word_reaches_the_guest_in_lockstep() -> None:
    with Lockstep(host=AnotherRenderer) as machine:
        file = DrmFile(machine.driver)
        handle, vma = machine.run(create_and_mmap(file))
        assert vma.pgprot is Pgprot.WRITECOMBINE
        machine.run(file.execbuffer(StreamWork(microseconds=500).build(), bo_handles=[handle]))
        machine.run(file.wait(handle))
        assert machine.now == pytest.approx(0.0005)


async def test_its_word_reaches_the_guest_on_trio(autojump_clock: trio.testing.MockClock) -> None:
    with Lockstep(host=AnotherRenderer) as other:
        other.run(create_and_mmap(DrmFile(other.driver)))
    async with open_machine(host=AnotherRenderer) as machine:
        file = DrmFile(machine.driver)
        handle, vma = await machine.run(create_and_mmap(file))
        assert vma.pgprot is Pgprot.WRITECOMBINE
        assert said(machine.log)["controlq", "guest"] == said(other.log)["controlq", "guest"]
        await machine.run(file.execbuffer(StreamWork(microseconds=500).build(), bo_handles=[handle]))
        await machine.run(file.wait(handle))
        assert trio.current_time() == pytest.approx(0.0005)


def test_bytes_written_by_the_guest_are_in_its_memory() -> None:
    with Lockstep(host=AnotherRenderer) as machine:
        _, vma = machine.run(create_and_mmap(DrmFile(machine.driver)))
        vma.write(0, b"guest")
        host = machine.host
        assert isinstance(host, AnotherRenderer)
        (memory,) = host.resources.values()
        assert memory.read(0, 5) == b"guest"


def test_device_on_it_passes_the_check() -> None:
    check_device(lambda: DeviceAlone(host=AnotherRenderer))
    with DeviceAlone(host=AnotherRenderer) as device:
        answer = device.send(CtxCreate(ctx_id=1))
        assert answer is not None
        assert answer.type == CtrlType.RESP_OK_NODATA


async def test_faults_and_processes_are_for_our_own() -> None:
    with pytest.raises(ValueError, match="they reach into it"):
        async with open_machine(Config(), host=AnotherRenderer, faults=[Drop()]):
            pass
    with pytest.raises(ValueError, match="they reach into it"):
        async with open_machine(Config(), host=AnotherRenderer, isolation="process"):
            pass


@pytest.mark.parametrize("name", vgpu_emu.testing.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(vgpu_emu.testing, name).__name__ == name
    assert name in dir(vgpu_emu.testing)


def test_what_is_not_there_is_said_so() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'check_guest'"):
        getattr(vgpu_emu.testing, "check_guest")  # noqa: B009 - the type checker knows it too


def test_import_loads_nothing_before_it_is_used() -> None:
    program = (
        "import sys, vgpu_emu.testing\nassert not {'trio', 'construct', 'msgspec', 'vgpu_wire'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
