"""The bytes of a real QEMU, under a real Linux, against the server: nothing of them is refused."""

import os
import struct
from errno import EINVAL
from pathlib import Path

import pytest
from backend_kit import FEATURES, RING_FEATURES
from vfio_user_kit import DMA_MAP, ERROR, IRQ_INFO, READ, REPLY, SET_IRQS, WRITE, Client, served

from vgpu_emu.cli.serve_options import ServeOptions
from vgpu_wire.vfio_user import PAYLOADS, Command, Header, IrqIndex, IrqInfo
from vgpu_wire.virtio_pci import DeviceStatus

pytestmark = pytest.mark.usefixtures("nothing_left")
RECORDED = Path(__file__).parents[1] / "data" / "peers" / "vfio_user_qemu_11.1.2.txt"


def recorded() -> list[tuple[Header, bytes, int]]:
    found = []
    for line in RECORDED.read_text(encoding="ascii").splitlines():
        data, fds = line.split()
        message = bytes.fromhex(data)
        found.append((Header.parse(message[:16]), message[16:], int(fds)))
    return found


def test_layouts_are_those_that_qemu_sends() -> None:
    seen = set()
    for header, payload, _ in recorded():
        assert header.size == 16 + len(payload)
        assert PAYLOADS[Command(header.command)].parse(payload).build() == payload
        seen.add(Command(header.command))
    assert seen == set(PAYLOADS)


def descriptors(command: int, payload: bytes, count: int) -> list[int]:
    """New ones, of the kind that this command takes."""
    if command == DMA_MAP and count:
        _, _, offset, _, size = struct.unpack("<IIQQQ", payload)
        memfd = os.memfd_create("ram", os.MFD_CLOEXEC)
        os.truncate(memfd, offset + size)
        return [memfd]
    assert command == SET_IRQS or not count
    return [os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(count)]


async def answers(client: Client) -> list[tuple[int, bytes, bytes]]:
    """Command, request and answer of every message; only one is refused: there is no interrupt for PCIe's errors."""
    found = []
    for header, payload, count in recorded():
        fds = descriptors(header.command, payload, count)
        reply = await client.call(header.command, payload, fds)
        for fileno in fds + reply.fds:
            os.close(fileno)
        is_err = header.command == IRQ_INFO and IrqInfo.parse(payload).index == IrqIndex.ERR
        assert (reply.flags, reply.errno) == ((ERROR, EINVAL) if is_err else (REPLY, 0))
        found.append((header.command, payload, reply.payload))
    return found


async def test_qemu_brings_linux_from_its_firmware_to_driver_ok() -> None:
    async with served(ServeOptions().config()) as (client, server):
        said = await answers(client)
        # the region of the registers, the offset of the device's status
        assert await client.load(4, 20, 1) == int(
            DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK | DeviceStatus.DRIVER_OK
        )
        assert server.said == []
    written = [(*struct.unpack("<QII", request[:16]), request[16:]) for what, request, _ in said if what == WRITE]
    # Linux 7.2 writes 128 feature bits
    words = [data for offset, region, _, data in written if (region, offset) == (4, 12)]
    accepted = int.from_bytes(b"".join(words[-4:]), "little")
    assert accepted == FEATURES | RING_FEATURES
    read = [struct.unpack("<QII", request) for what, request, _ in said if what == READ]
    assert (0, 7, 4) in read
