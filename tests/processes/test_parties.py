"""What a party's process is: which code it has, which files, and how it ends with the machine."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from support import PAGE, create_and_mmap

from vgpu_emu.assembly import Config
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.vma import Vma
from vgpu_emu.ids import ResourceId
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.memory import Memory
from vgpu_emu.processes import host_calls, vmm_calls
from vgpu_emu.processes.joining import Processes, ProcessParts
from vgpu_emu.processes.party import PartyLostError, interpreter
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.state import DeviceLimits, Image
from vgpu_emu.vocabulary import Pgprot
from vgpu_wire.blob import ResourceCreateBlob
from vgpu_wire.context_stream import ExporterKind, StreamWork
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.display import Rect
from vgpu_wire.process_link import Packet
from vgpu_wire.resource import Format, MemEntry, ResourceAttachBacking, ResourceCreate2D, TransferToHost2D
from vgpu_wire.terms import Records
from vgpu_wire.virtgpu_drm import ExecbufFlag

pytestmark = pytest.mark.usefixtures("nothing_left", "no_process_left")


def parts_of(machine: Machine) -> ProcessParts:
    assert isinstance(machine.parts, ProcessParts)
    return machine.parts


def mapped(pid: int | str) -> int:
    """Bytes of the memfds of blobs that a process has mapped."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        places = [line.split("-", 1) for line in maps if "/memfd:blob" in line]
    return sum(int(rest.split()[0], 16) - int(start, 16) for start, rest in places)


async def test_three_processes_share_the_pages_of_a_blob() -> None:
    async with open_machine(isolation="process") as machine:
        parts, file = parts_of(machine), DrmFile(machine.driver)
        assert len({*parts.pids.values()}) == 3
        assert next(machine.log.notes("assembled")).values["pids"] == parts.pids
        assert parts.pids["guest"] == os.getpid()
        _, vma = await machine.run(create_and_mmap(file, ExporterKind.WC, size=2 * PAGE))
        assert vma.pgprot is Pgprot.WRITECOMBINE
        assert [mapped(pid) for pid in (parts.vmm.pid, os.getpid())] == [2 * PAGE, 2 * PAGE]
        with parts.renderer.process.mmap(parts.renderer.resources[vma.vram.resource_id], PAGE) as exporters:
            exporters[:5] = b"shown"
            assert vma.read(0, 5) == b"shown"
            vma.write(5, b" and told")
            assert exporters[:14] == b"shown and told"
        await machine.run(vma.munmap())
        await machine.run(file.close())
        await machine.settle()
        assert [mapped(pid) for pid in (parts.vmm.pid, os.getpid())] == [0, 0]
        assert machine.parts.leaks() == []
    assert machine.parts.leaks() == []


async def test_process_has_the_code_and_the_files_of_its_party_alone() -> None:
    async with open_machine(isolation="process") as machine:
        parts = parts_of(machine)
        vmm = parts.vmm.call(vmm_calls.Insides())[0].value
        host = parts.host.call(host_calls.Insides())[0].value
    shared = {"ids", "link", "memory", "processes", "trace", "vocabulary"}
    assert ours(vmm["modules"]) == shared | {"vmm"}
    assert ours(host["modules"]) == shared - {"trace"} | {"host"}
    assert "trio" not in vmm["modules"] + host["modules"]
    for inside in (vmm, host):
        assert sum(file.startswith("socket:") for file in inside["files"]) == 1


def ours(modules: list[str]) -> set[str]:
    """The parts of vgpu_emu among them."""
    return {module.split(".")[1] for module in modules if module.startswith("vgpu_emu.")}


async def test_command_of_16384_memory_entries_arrives() -> None:
    """256 KiB: more than a packet, and more than a socket buffer takes on most systems."""
    config = Config(guest_memory=128 << 20, device_limits=DeviceLimits(blob_bytes=1 << 40))
    async with open_machine(config, isolation="process") as machine:
        entries = [MemEntry(addr=(1 << 20) + number * PAGE, length=PAGE) for number in range(16384)]
        request = ResourceCreateBlob(
            resource_id=7,
            blob_mem=1,
            blob_flags=1,
            size=16384 * PAGE,
            nr_entries=16384,
            entries=Records.of(MemEntry, entries),
        )
        answer = await machine.run(machine.driver.command(request))
        assert CtrlHdr.parse(answer).type == CtrlType.RESP_OK_NODATA
        assert list(machine.parts.device.resources) == [7]


async def test_guest_memory_is_shared_with_the_vmm() -> None:
    async with open_machine(isolation="process") as machine:
        entry = MemEntry(addr=4 << 20, length=PAGE)
        for request in (
            ResourceCreate2D(resource_id=7, format=Format.B8G8R8A8_UNORM.value, width=32, height=32),
            ResourceAttachBacking(resource_id=7, nr_entries=1, entries=Records.of(MemEntry, [entry])),
        ):
            await machine.run(machine.driver.command(request))
        machine.parts.memory.write(4 << 20, bytes(range(256)) * 16)
        await machine.run(machine.driver.command(TransferToHost2D(resource_id=7, r=Rect(width=32, height=32))))
        image = machine.parts.device.resources[ResourceId(7)]
        assert isinstance(image, Image)
        assert bytes(image.pixels) == bytes(range(256)) * 16


async def test_fence_is_signalled_when_its_work_is_done_in_virtual_time(autojump_clock: trio.testing.MockClock) -> None:
    async with open_machine(isolation="process") as machine:
        file = DrmFile(machine.driver)
        start = trio.current_time()
        work = StreamWork(microseconds=2_500_000).build()
        await machine.run(file.execbuffer(work, flags=ExecbufFlag.FENCE_FD_OUT.value))
        await machine.settle()
        assert trio.current_time() - start == pytest.approx(2.5)


async def test_snapshot_goes_through_another_process() -> None:
    async with open_machine(isolation="process") as machine:
        blob = ResourceCreateBlob(resource_id=7, blob_mem=1, blob_flags=1, size=PAGE, nr_entries=1)
        entries = [MemEntry(addr=4 << 20, length=PAGE)]
        await machine.run(machine.driver.command(replace(blob, entries=Records.of(MemEntry, entries))))
        device: Any = machine.parts.device
        before = device.snapshot()
        await machine.vmm.carry(device.reset())
        assert (device.resources, device.contexts) == ({}, [])
        with pytest.raises(ValueError, match="schema"):
            await machine.vmm.carry(device.restore(b"{}"))
        assert await machine.vmm.carry(device.restore(before)) == []
        assert list(device.resources) == [7]
        assert device.snapshot() == before


@pytest.mark.parametrize("party", ["vmm", "host"])
async def test_party_that_dies_while_nobody_asks_it_is_told(party: str) -> None:
    async def kill() -> None:
        async with open_machine(isolation="process") as machine:
            os.kill(parts_of(machine).pids[party], signal.SIGTERM)
            await trio.sleep_forever()

    with pytest.raises(PartyLostError, match=f"the {party}'s process .* was killed by SIGTERM") as lost:
        await kill()
    assert lost.value.during is None
    async with open_machine() as machine:
        await machine.run(create_and_mmap(DrmFile(machine.driver)))


GUEST = """
import os, signal, sys, trio
from vgpu_emu.guest.vma import Vma
from vgpu_emu.ids import ResourceId
from vgpu_emu.machine import open_machine

async def main():
    async with open_machine(isolation="process") as machine:
        pids = [machine.parts.vmm.pid, machine.parts.host.pid]
        os.kill(pids[0], signal.SIGSTOP)
        print(*pids, flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def test_parties_die_with_the_guest_even_if_they_are_stopped() -> None:
    with subprocess.Popen([sys.executable, "-P", "-c", GUEST], stdout=subprocess.PIPE, text=True) as guest:
        assert guest.stdout is not None
        ends = [os.pidfd_open(int(pid)) for pid in guest.stdout.readline().split()]
        guest.kill()
    for end in ends:
        assert select.select([end], [], [], 5.0)[0] == [end]
        os.close(end)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (Config(backing=lambda size, _name: Memory(size, None)), "a backing of one's own cannot be sent"),
        (Config(profile=replace(PROFILES["strict"], correct=False)), "profile 'strict' cannot be sent"),
        (Config(scanouts=()), "0 scanouts; a device has 1 to 16"),
        (Config(profile=PROFILES["strict"], features=frozenset({Feature.CONTEXT_INIT})), "the device refuses"),
    ],
)
async def test_configuration_that_cannot_be_is_said_and_nothing_is_left(config: Config, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        async with open_machine(config, isolation="process"):
            pass


@pytest.mark.parametrize(
    ("command", "match"),
    [
        (("/does/not/exist",), "No such file"),
        (("/bin/true",), "vmm's process .* exited with status 0"),
        (("/bin/sh", "-c", "exit 3"), "exited with status 3"),
    ],
)
async def test_command_that_is_no_party_is_said(command: tuple[str, ...], match: str) -> None:
    with pytest.raises((PartyLostError, OSError), match=match):
        async with open_machine(isolation=Processes(vmm=command)):
            pass


def answering(data: str) -> tuple[str, ...]:
    """A party that answers everything with these bytes."""
    program = f"import socket, sys; s = socket.socket(fileno=int(sys.argv[-1]))\nwhile s.recv(1 << 17): s.send({data})"
    return (sys.executable, "-S", "-c", program)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ("b'garbage'", "sent what is no answer .truncated"),
        ("b'\\xff' * 16", "sent what is no answer .*4294967295 bytes"),
        ("b'\\x01' + bytes(15) + b'\\xc1'", "sent what is no answer"),
        ("b'\\x01' + bytes(15) + b'\\x90'", "sent what is no answer .*Expected `object`"),
        ("b'\\x0a' + bytes(15) + b'\\x81\\xa5value\\xa1x\\xc0'", "sent what is no answer"),
    ],
)
@pytest.mark.parametrize("party", ["vmm", "host"])
async def test_party_that_talks_garbage_is_lost(party: str, data: str, match: str) -> None:
    processes = Processes(**{party: answering(data)})  # type: ignore[arg-type]
    with pytest.raises(PartyLostError, match=match):
        async with open_machine(isolation=processes):
            pass


@pytest.mark.parametrize("party", ["vmm", "host"])
def test_party_that_is_told_garbage_ends_with_a_line(party: str) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        command = [*interpreter(party), str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True)
        ours.send(Packet(size=1).build() + b"\x90")
        _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert re.fullmatch(rf".*{party}.py: the machine sent what is no call: .*\n", said)


def test_party_of_another_users_socket_ends() -> None:
    """Root only: the socket pair is another user's."""
    if os.geteuid():
        pytest.skip("only root can be somebody else")
    program = (
        "import os, socket, sys; os.seteuid(65534); ours, theirs = socket.socketpair(1, 5); os.seteuid(0);"
        "theirs.set_inheritable(True); os.execv(sys.executable, [sys.executable, *sys.argv[1:], str(theirs.fileno())])"
    )
    command = [sys.executable, "-P", "-c", program, *interpreter("host")[1:]]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert re.fullmatch(r".*host.py: process \d+ at the other end runs as user 65534, not 0\n", done.stderr)


async def test_vmm_without_room_for_a_descriptor_refuses_the_blob_and_goes_on() -> None:
    """EMFILE in recvmsg(2): what the kernel cannot pass is not there, and the guest is told so."""
    limited = ("/bin/sh", "-c", 'ulimit -n 12; exec "$@"', "sh", *interpreter("vmm"))
    async with open_machine(isolation=Processes(vmm=limited)) as machine:
        file = DrmFile(machine.driver)
        made: list[Vma] = []

        async def fill() -> None:
            for blob_id in range(20):
                _, vma = await machine.run(create_and_mmap(file, blob_id=blob_id))
                made.append(vma)

        with pytest.raises(OSError, match="refused to map"):
            await fill()
        assert 1 <= len(made) < 12
        for vma in made:
            await machine.run(vma.munmap())
        await machine.run(file.close())
        await machine.settle()
        await machine.run(create_and_mmap(DrmFile(machine.driver), blob_id=99))
