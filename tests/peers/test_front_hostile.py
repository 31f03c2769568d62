"""A device that closes, falls silent or lies: one error of a kind, and nothing is left behind."""

import os
from collections.abc import Callable

import pytest
import trio
from lying_backend import REGION, SEQUENCE, Backend, open_backend, open_pair, reply_to

from vgpu_emu.guest.probe import probe
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.device_queue import DeviceQueue
from vgpu_emu.link.vring import USED_IDX
from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.front.link import MAX_REPLY
from vgpu_emu.peers.front.machine import DeviceMachine, FrontConfig
from vgpu_emu.peers.front.opening import open_device
from vgpu_emu.peers.front.screens import MAX_MESSAGE
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, Config
from vgpu_wire.vhost_user import REPLIES, U64, VERSION, BackendRequest, FrontendRequest, Header, HeaderFlag, Mmap
from vgpu_wire.vhost_user_gpu import GPU_REPLY, GpuHeader, GpuRequest, GpuScanout, GpuUpdate

pytestmark = pytest.mark.usefixtures("nothing_left")
R = FrontendRequest
INFO = HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)
PAGE = 4096
ANSWERED = [r for r in SEQUENCE if r in REPLIES]


async def opened(backend: Backend, stream: object) -> DeviceError:
    """The error with which it cannot be opened."""
    with pytest.raises(DeviceError) as caught:
        async with open_device(stream):  # type: ignore[arg-type]
            raise AssertionError
    return caught.value


def closing(backend: Backend, _header: Header) -> None:
    backend.stream.close()


def silent(_backend: Backend, _header: Header) -> None:
    """Nothing comes."""


@pytest.mark.parametrize("request_", SEQUENCE[:-1], ids=lambda r: r.name)
async def test_device_that_closes_at_any_request_is_gone(
    autojump_clock: trio.testing.MockClock, request_: FrontendRequest
) -> None:
    async with open_backend() as (backend, stream):
        backend.lies[request_] = closing
        assert (await opened(backend, stream)).fault is DeviceFault.GONE


@pytest.mark.parametrize("request_", ANSWERED, ids=lambda r: r.name)
async def test_device_that_does_not_reply_is_silent(
    autojump_clock: trio.testing.MockClock, request_: FrontendRequest
) -> None:
    async with open_backend() as (backend, stream):
        backend.lies[request_] = silent
        start = trio.current_time()
        error = await opened(backend, stream)
        assert str(error) == f"the device does not answer: no reply to {request_.name} in 5 s"
        assert trio.current_time() == start + 5


def header(request: int = R.GET_FEATURES, flags: int = VERSION | HeaderFlag.REPLY, size: int = 8) -> bytes:
    return Header(request=request, flags=flags, size=size).build()


@pytest.mark.parametrize(
    ("lie", "says"),
    [
        (header(R.GET_CONFIG) + bytes(8), "a reply to 24, not to GET_FEATURES"),
        (header(flags=VERSION) + bytes(8), "no reply to GET_FEATURES: request 1, flags 0x1"),
        (header(flags=2 | HeaderFlag.REPLY) + bytes(8), "no reply to GET_FEATURES: request 1, flags 0x6"),
        (header(size=4) + bytes(4), "the reply to GET_FEATURES: "),
        (header(size=0), "the reply to GET_FEATURES: "),
        (header(size=9) + bytes(9), "the reply to GET_FEATURES: "),
        (header(size=MAX_REPLY) + bytes(MAX_REPLY), "the reply to GET_FEATURES: "),
        (header(size=MAX_REPLY + 1), "no reply to GET_FEATURES: request 1, flags 0x5, 4097 bytes"),
        (header(size=2**32 - 1), "no reply to GET_FEATURES: request 1, flags 0x5, 4294967295 bytes"),
    ],
)
async def test_reply_that_is_none_is_named(autojump_clock: trio.testing.MockClock, lie: bytes, says: str) -> None:
    async with open_backend() as (backend, stream):
        backend.lies[R.GET_FEATURES] = lambda *_: lie
        error = await opened(backend, stream)
        assert error.fault is DeviceFault.PROTOCOL
        assert says in error.detail


async def test_message_that_nobody_asked_for_ends_the_session(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair() as (backend, machine):
        backend.carry = never
        await backend.stream.send(header() + bytes(8))
        error = await failure(machine)
        assert error.fault is DeviceFault.PROTOCOL
        assert "a message that nobody asked for" in error.detail


async def test_request_that_failed_is_named(autojump_clock: trio.testing.MockClock) -> None:
    async with open_backend() as (backend, stream):
        backend.lies[R.SET_MEM_TABLE] = lambda _, h: reply_to(h.request, U64(value=22).build())
        assert (await opened(backend, stream)).detail == "SET_MEM_TABLE failed with 0x16"


# -- rings


async def failure(machine: DeviceMachine) -> DeviceError:
    """The error that ends a call of the guest; every later one ends with it too."""
    with pytest.raises(DeviceError) as caught:
        await machine.run(machine.driver.command(INFO, 408))
    with pytest.raises(DeviceError) as again:
        await machine.run(machine.driver.command(INFO, 408))
    assert again.value is caught.value is machine.error
    return caught.value


def never(_backend: Backend, _queue: DeviceQueue, _chains: list[Chain]) -> None:
    """The chains are taken, and that is all."""


def uncalled(backend: Backend, queue: DeviceQueue, chains: list[Chain]) -> None:
    queue.push_all([Used(chain.head, chain.queue, b"") for chain in chains])


def dying(backend: Backend, _queue: DeviceQueue, _chains: list[Chain]) -> None:
    backend.stream.close()


def unknown_id(backend: Backend, queue: DeviceQueue, _chains: list[Chain]) -> None:
    queue.rings.store_elements(queue.next_used, [200, 24])
    queue.rings.store(USED_IDX, queue.next_used + 1)
    backend.interrupt()


def too_many(backend: Backend, queue: DeviceQueue, _chains: list[Chain]) -> None:
    queue.rings.store(USED_IDX, queue.next_used + 300)
    backend.interrupt()


@pytest.mark.parametrize(
    ("carry", "fault", "says"),
    [
        (never, DeviceFault.SILENT, "no answer in 5 s"),
        (uncalled, DeviceFault.SILENT, "no answer and no call for one that is there in 5 s"),
        (dying, DeviceFault.GONE, "the peer closed the connection"),
        (unknown_id, DeviceFault.RING, "a used chain is not in flight: id 200"),
        (too_many, DeviceFault.RING, "more chains were used than are in flight: 300, 1 are in flight"),
    ],
)
async def test_device_that_fails_a_request_says_which(
    autojump_clock: trio.testing.MockClock,
    carry: Callable[[Backend, DeviceQueue, list[Chain]], None],
    fault: DeviceFault,
    says: str,
) -> None:
    async with open_pair() as (backend, machine):
        backend.carry = carry
        error = await failure(machine)
        assert error.fault is fault
        assert str(error) == f"{fault.value}: {says}, after GET_DISPLAY_INFO"


async def test_used_length_beyond_the_buffer_is_cut(autojump_clock: trio.testing.MockClock) -> None:
    def lying(backend: Backend, queue: DeviceQueue, chains: list[Chain]) -> None:
        queue.rings.store_elements(queue.next_used, [0, 2**32 - 1])
        queue.rings.store(USED_IDX, queue.next_used + 1)
        backend.interrupt()

    async with open_pair() as (backend, machine):
        backend.carry = lying
        assert await machine.run(machine.driver.command(INFO, 408)) == bytes(408)


async def test_answers_before_the_end_are_received(autojump_clock: trio.testing.MockClock) -> None:
    def last_words(backend: Backend, queue: DeviceQueue, chains: list[Chain]) -> None:
        backend.answer(queue, chains[:1])
        backend.stream.close()

    async with open_pair() as (backend, machine):
        backend.carry = last_words
        machine.port.send([Chain(1, CONTROLQ, INFO.build(), 408), Chain(2, CONTROLQ, INFO.build(), 408)])
        assert [used.head for used in await machine.port.receive()] == [1]
        with pytest.raises(DeviceError, match="after GET_DISPLAY_INFO"):
            await machine.port.receive()


async def test_device_that_owes_nothing_may_be_silent(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair() as (_, machine):
        with trio.move_on_after(1000) as scope:
            await machine.port.receive()
        assert scope.cancelled_caught
        await machine.run(probe(machine.driver))


# -- the GPU socket


def gpu(request: int, size: int, flags: int = 0) -> bytes:
    return GpuHeader(request=request, flags=flags, size=size).build()


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (gpu(99, 0), "GPU socket: request 99"),
        (gpu(GpuRequest.UPDATE, MAX_MESSAGE + 1), f"{MAX_MESSAGE + 1} bytes"),
        (gpu(GpuRequest.SCANOUT, 8) + bytes(8), "GPU socket: "),
        (gpu(GpuRequest.SCANOUT, 13) + bytes(13), "GPU socket: "),
    ],
)
async def test_nonsense_on_the_gpu_socket_ends_the_session(
    autojump_clock: trio.testing.MockClock, message: bytes, says: str
) -> None:
    async with open_pair() as (backend, machine):
        assert backend.gpu is not None
        await backend.gpu.send(message)
        backend.carry = never
        error = await failure(machine)
        assert error.fault is DeviceFault.PROTOCOL
        assert says in error.detail


@pytest.mark.parametrize("size", [MAX_MESSAGE - 1, MAX_MESSAGE])
async def test_screen_of_the_largest_size_is_taken(autojump_clock: trio.testing.MockClock, size: int) -> None:
    async with open_pair() as (backend, machine):
        assert backend.gpu is not None
        shown = GpuScanout(width=1, height=1).build()
        await backend.gpu.send(gpu(GpuRequest.SCANOUT, len(shown)) + shown)
        update = GpuUpdate(width=1, height=1).build()
        await backend.gpu.send(gpu(GpuRequest.UPDATE, size) + update + bytes(size - len(update)))
        await machine.run(probe(machine.driver))
        await trio.testing.wait_all_tasks_blocked()
        assert machine.screens.shown == {0: (1, 1)}
        assert len(machine.screens.updates[0].data) == size - len(update)


async def test_flags_on_the_gpu_socket_mean_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """QEMU's back-end sends UPDATE with flags that it has never set."""
    async with open_pair() as (backend, machine):
        assert backend.gpu is not None
        await backend.gpu.send(gpu(GpuRequest.GET_DISPLAY_INFO, 0, flags=0x67))
        data, _ = await backend.gpu.receive_start(GpuHeader.layout.size)
        assert GpuHeader.parse(data) == GpuHeader(request=3, flags=GPU_REPLY, size=408)
        await machine.run(probe(machine.driver))


async def test_gpu_socket_that_is_closed_ends_the_session(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair() as (backend, machine):
        assert backend.gpu is not None
        backend.gpu.close()
        backend.carry = never
        assert "GPU socket: the peer closed" in (await failure(machine)).detail


# -- what the device asks


async def asked(backend: Backend, request: int, payload: bytes, fds: tuple[int, ...] = ()) -> int:
    """The status that the VMM answers."""
    assert backend.requests is not None
    flags = VERSION | HeaderFlag.NEED_REPLY
    await backend.requests.send(Header(request=request, flags=flags, size=len(payload)).build() + payload, fds)
    data, _ = await backend.requests.receive_start(Header.layout.size + U64.layout.size)
    return U64.parse(data[Header.layout.size :]).value


def shown(offset: int = 0, length: int = PAGE, *, start: int = 0, shmid: int = 1) -> bytes:
    return Mmap(shmid=shmid, fd_offset=start, shm_offset=offset, len=length, flags=1).build()


async def test_memory_of_the_device_is_seen_in_the_region(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair() as (backend, machine):
        fileno = memfd(2 * PAGE)
        os.pwrite(fileno, b"second page", PAGE)
        assert await asked(backend, BackendRequest.SHMEM_MAP, shown(5 * PAGE, start=PAGE), (fileno,)) == 0
        assert machine.region.read(5 * PAGE, 11) == b"second page"
        machine.region.write(5 * PAGE, b"SECOND")
        assert os.pread(fileno, 11, PAGE) == b"SECOND page"
        assert await asked(backend, BackendRequest.SHMEM_UNMAP, shown(5 * PAGE)) == 0
        assert len(machine.region) == 0
        os.close(fileno)


def memfd(size: int) -> int:
    fileno = os.memfd_create("blob")
    os.truncate(fileno, size)
    return fileno


@pytest.mark.parametrize(
    ("payload", "is_taken"),
    [
        (shown(REGION - PAGE), True),
        (shown(REGION), False),
        (shown(REGION - PAGE, 2 * PAGE), False),
        (shown(length=2 * PAGE), True),
        (shown(length=3 * PAGE), False),
        (shown(start=PAGE), True),
        (shown(start=2 * PAGE), False),
        (shown(start=512), False),
        (shown(512), False),
        (shown(length=0), False),
        (shown(length=512), False),
        (shown((1 << 64) - PAGE, 2 * PAGE), False),
        (shown(start=(1 << 64) - PAGE), False),
        (shown(shmid=0), False),
        (shown(8 * PAGE), False),
        (shown(7 * PAGE, 2 * PAGE), False),
    ],
)
async def test_mapping_that_qemu_would_refuse_is_refused(
    autojump_clock: trio.testing.MockClock, payload: bytes, is_taken: bool
) -> None:
    async with open_pair() as (backend, _machine):
        fileno = memfd(2 * PAGE)
        assert await asked(backend, BackendRequest.SHMEM_MAP, shown(8 * PAGE), (fileno,)) == 0
        status = await asked(backend, BackendRequest.SHMEM_MAP, payload, (fileno,))
        assert (status == 0) is is_taken
        os.close(fileno)


async def test_mapping_without_a_descriptor_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair() as (backend, machine):
        assert await asked(backend, BackendRequest.SHMEM_MAP, shown()) != 0
        assert await asked(backend, BackendRequest.SHMEM_UNMAP, shown()) != 0
        assert await asked(backend, BackendRequest.IOTLB_MSG, b"") != 0
        await machine.run(probe(machine.driver))


async def test_configuration_is_read_again_when_the_device_says_so(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair(FrontConfig()) as (backend, machine):
        await machine.run(probe(machine.driver))
        hotplugs = machine.driver.outputs.hotplugs
        backend.config = Config(events_read=1, num_scanouts=1, num_capsets=1)
        assert await asked(backend, BackendRequest.CONFIG_CHANGE_MSG, b"") == 0
        await trio.testing.wait_all_tasks_blocked()
        await machine.settle()
        assert machine.driver.outputs.hotplugs == hotplugs + 1
        assert machine.driver.config.read().events_read == 0
        assert backend.heard[-1] is R.SET_CONFIG
