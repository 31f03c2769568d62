"""Bytes that QEMU 11.1.2 sent: our layouts read them, and what QEMU was answered then it is answered again."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from vhost_kit import frontend

from vgpu_emu.assembly import Config
from vgpu_wire.layout import Record
from vgpu_wire.vhost_user import (
    BACKEND_PAYLOADS,
    FRONTEND_PAYLOADS,
    REPLIES,
    U64,
    BackendRequest,
    FrontendRequest,
    Header,
    HeaderFlag,
    Memory,
    Mmap,
    VringAddr,
)
from vgpu_wire.vhost_user_gpu import GPU_PAYLOADS, GPU_REPLIES, GPU_REPLY, GpuHeader, GpuRequest

pytestmark = pytest.mark.usefixtures("nothing_left")
DATA = Path(__file__).parents[1] / "data" / "vhost_user"
F = FrontendRequest
Recorded = dict[str, Any]


def recorded(name: str) -> list[Recorded]:
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [{**json.loads(line), "data": bytes.fromhex(json.loads(line)["hex"])} for line in lines]


MESSAGES = [message for name in ("test_device", "vhost_user_gpu") for message in recorded(name)]


def payload_class(message: Recorded) -> type[Record] | None:
    if message["socket"] == "gpu":
        gpu = GpuHeader.parse(message["data"][:12])
        return (GPU_REPLIES if gpu.flags & GPU_REPLY else GPU_PAYLOADS).get(gpu.request)
    header = Header.parse(message["data"][:12])
    payloads = BACKEND_PAYLOADS if message["socket"] == "backend" else FRONTEND_PAYLOADS
    if header.flags & HeaderFlag.REPLY:
        return REPLIES.get(header.request, U64) if message["socket"] == "main" else U64
    return payloads.get(header.request)


@pytest.mark.parametrize("socket_name", ["main", "backend", "gpu"])
def test_every_message_is_read_and_built_again(socket_name: str) -> None:
    messages = [message for message in MESSAGES if message["socket"] == socket_name]
    assert {message["from"] for message in messages} == {"qemu", "backend"}
    for message in messages:
        data, cls = message["data"], payload_class(message)
        assert Header.parse(data[:12]).size == len(data) - 12
        assert (cls.parse(data[12:]).build() if cls is not None else b"") == data[12:]


def test_qemu_maps_where_the_device_asked_and_tells_of_the_memory() -> None:
    """The mapping's bytes appear in the guest's address space, in the BAR that Linux calls its host memory window."""
    messages = [(m, Header.parse(m["data"][:12]).request) for m in MESSAGES if m["socket"] != "gpu"]
    mapped = next(m for m, r in messages if (m["socket"], r) == ("backend", BackendRequest.SHMEM_MAP))
    tables = [m["data"] for m, r in messages if (m["socket"], m["from"], r) == ("main", "qemu", F.SET_MEM_TABLE)]
    regions = [region for table in tables for region in Memory.parse(table[12:]).regions]
    request = Mmap.parse(mapped["data"][12:])
    assert (mapped["fds"], request.shmid, request.len) == (1, 1, 65536)
    assert (0xFC_0000_0000 + request.shm_offset, request.len) in {(r.guest_phys_addr, r.memory_size) for r in regions}


def test_ring_addresses_are_in_the_memory_that_was_shared() -> None:
    asked = [m["data"] for m in recorded("test_device") if (m["socket"], m["from"]) == ("main", "qemu")]
    messages = [(data, Header.parse(data[:12]).request) for data in asked]
    ram = next(Memory.parse(data[12:]).regions[0] for data, request in messages if request == F.SET_MEM_TABLE)
    rings = [VringAddr.parse(data[12:]) for data, request in messages if request == F.SET_VRING_ADDR]
    assert len(rings) == 2
    for ring in rings:
        for address in (ring.desc_user_addr, ring.used_user_addr, ring.avail_user_addr):
            assert 0 <= address - ram.userspace_addr < ram.memory_size


def _descriptors(message: Recorded) -> list[int]:
    """As many as came then, of the kind that the request is about."""
    request, count = Header.parse(message["data"][:12]).request, message["fds"]
    if request == F.SET_MEM_TABLE:
        numbers = [os.memfd_create("ram", os.MFD_CLOEXEC) for _ in range(count)]
        for number in numbers:
            os.truncate(number, 1 << 30)
        return numbers
    if request in {F.SET_BACKEND_REQ_FD, F.GPU_SET_SOCKET}:
        pair = socket.socketpair()
        pair[0].close()
        return [pair[1].detach()]
    return [os.eventfd(0, os.EFD_CLOEXEC) for _ in range(count)]


@pytest.mark.parametrize("name", ["test_device", "vhost_user_gpu"])
async def test_qemu_is_answered_as_it_was_then(name: str) -> None:
    # where a queue was then
    other = {F.GET_VRING_BASE}
    async with frontend(Config(guest_memory=0, opaque_renderer=True, host_visible=8 << 30)) as (peer, _):
        for message in recorded(name):
            if message["socket"] != "main":
                continue
            header = Header.parse(message["data"][:12])
            if message["from"] == "qemu":
                numbers = _descriptors(message)
                await peer.stream.send(message["data"], numbers)
                for number in numbers:
                    os.close(number)
            else:
                answer = await peer.receive()
                assert (answer.request, answer.flags) == (header.request, header.flags)
                assert answer.payload == message["data"][12:] or header.request in other


def test_gpu_requests_of_the_recording_are_all_there() -> None:
    kinds = {GpuHeader.parse(m["data"][:12]).request for m in MESSAGES if m["socket"] == "gpu"}
    assert kinds == {
        GpuRequest.GET_PROTOCOL_FEATURES,
        GpuRequest.SET_PROTOCOL_FEATURES,
        GpuRequest.GET_DISPLAY_INFO,
        GpuRequest.GET_EDID,
        GpuRequest.SCANOUT,
        GpuRequest.CURSOR_POS_HIDE,
    }
