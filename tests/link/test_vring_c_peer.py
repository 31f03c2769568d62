"""Our driver on a device, our device under a driver, both written in C on the kernel's linux/virtio_ring.h."""

import ctypes
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from vgpu_emu.link.chain import Used
from vgpu_emu.link.device_queue import DeviceQueue
from vgpu_emu.link.dma_arena import DmaArena
from vgpu_emu.link.driver_queue import DriverQueue
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import Vring, due

BASE, SIZE, ARENA = 0x40000000, 0x10000, 0x8000
INSTALL = "apt-get install gcc linux-libc-dev"
SOURCE = Path(__file__).with_name("vring_peer.c")


class Peer:
    """The C side, and the memory that it shares with ours."""

    def __init__(self, library: ctypes.CDLL, entries: int) -> None:
        self.library = library
        self.entries = entries
        self.pages = bytearray(SIZE)
        self.guest = (ctypes.c_ubyte * SIZE).from_buffer(self.pages)
        self.seen = ctypes.c_uint16(0)
        self.memory = GuestMemory()
        self.memory.add(BASE, self.pages)
        self.vring = Vring.at(BASE, entries)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if shutil.which("gcc") is None:
        pytest.skip(f"no gcc: {INSTALL}")
    target = tmp_path_factory.mktemp("peer") / "vring_peer.so"
    command = ["gcc", "-ffreestanding", "-nostdlib", "-shared", "-fPIC", "-O1", "-o", str(target), str(SOURCE)]
    compiled = subprocess.run(command, check=False, capture_output=True, text=True)
    if "linux/virtio_ring.h: No such file" in compiled.stderr:
        pytest.skip(f"no linux/virtio_ring.h: {INSTALL}")
    assert compiled.returncode == 0, compiled.stderr
    return ctypes.CDLL(str(target))


@pytest.fixture(params=[1, 2, 8, 256])
def peer(library: ctypes.CDLL, request: pytest.FixtureRequest) -> Peer:
    return Peer(library, request.param)


def test_parts_lie_where_vring_init_puts_them(peer: Peer) -> None:
    places = (ctypes.c_uint64 * 5)()
    peer.library.peer_places(peer.guest, peer.entries, places)
    desc, avail, used, used_event, avail_event = (BASE + place for place in places)
    assert peer.vring == Vring(peer.entries, desc, avail, used)
    ends = {name: address + length for name, (address, length, _) in peer.vring.parts().items()}
    assert (ends["avail"], ends["used"]) == (used_event + 2, avail_event + 2)


def test_notification_is_due_when_vring_need_event_says_so(library: ctypes.CDLL) -> None:
    random = Random(29)
    for _ in range(5000):
        idx, added, near = random.randrange(65536), random.randrange(400), random.randrange(-500, 500)
        event = (idx + near) % 65536
        assert due(event, idx, added) == bool(library.peer_need_event(event, idx, (idx - added) % 65536))


@pytest.mark.parametrize("indirect", [False, True])
def test_device_in_c_answers_our_driver(peer: Peer, indirect: bool) -> None:
    random = Random(peer.entries)
    arena = DmaArena(BASE + ARENA, ARENA)
    driver = DriverQueue(peer.memory, peer.vring, arena, queue=0, indirect_desc=indirect, event_idx=True)
    peer.library.peer_serve(peer.guest, ctypes.c_uint64(BASE), peer.entries, ctypes.byref(peer.seen))
    for _ in range(200):
        expected = []
        for _ in range(random.randrange(1, 5)):
            readable = [random.randbytes(random.randrange(1, 50)) for _ in range(random.randrange(1, 4))]
            writable = [random.randrange(1, 50) for _ in range(random.randrange(3))]
            if driver.needs(len(readable) + len(writable)) <= driver.num_free:
                answer = bytes(~byte & 0xFF for byte in b"".join(readable))[: sum(writable)]
                expected.append(Used(driver.add(readable, writable), 0, answer))
        assert driver.kick() == bool(expected)
        interrupt = peer.library.peer_serve(peer.guest, ctypes.c_uint64(BASE), peer.entries, ctypes.byref(peer.seen))
        assert bool(interrupt) == bool(expected)
        assert driver.get_used() == expected


def test_driver_in_c_is_answered_by_our_device(peer: Peer) -> None:
    random = Random(peer.entries)
    device = DeviceQueue(peer.memory, peer.vring, queue=0, event_idx=True)
    for _ in range(200):
        assert device.pop() is None
        count = random.randrange(1, min(peer.entries, 6) + 1)
        answers = random.randrange(count + 1)
        head = random.randrange(peer.entries - count + 1)
        addresses = [ARENA + 0x100 * i + random.randrange(0x80) for i in range(count)]
        lengths = [random.randrange(1, 0x80) for _ in range(count)]
        for address in addresses:
            peer.pages[address : address + 0x80] = random.randbytes(0x80)
        kick = peer.library.peer_add(
            peer.guest,
            peer.entries,
            head,
            count,
            answers,
            (ctypes.c_uint64 * count)(*[BASE + address for address in addresses]),
            (ctypes.c_uint32 * count)(*lengths),
        )
        assert kick
        (chain,) = device.pop_all()
        extents = [slice(address, address + length) for address, length in zip(addresses, lengths, strict=True)]
        assert (chain.head, chain.capacity) == (head, sum(lengths[count - answers :]))
        assert chain.readable == b"".join(peer.pages[extent] for extent in extents[: count - answers])
        written = random.randbytes(random.randrange(chain.capacity + 1))
        assert device.push(Used(head, 0, written))
        length = ctypes.c_uint32()
        assert peer.library.peer_used(peer.guest, peer.entries, ctypes.byref(peer.seen), head, ctypes.byref(length))
        assert length.value == len(written)
        assert b"".join(peer.pages[extent] for extent in extents[count - answers :])[: length.value] == written
