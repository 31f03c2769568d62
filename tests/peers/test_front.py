"""Our guest on a device behind a vhost-user socket: what both say, and what a device may offer."""

from collections.abc import Callable

import pytest
import trio
from lying_backend import FEATURES, PROTOCOL, REGION, SEQUENCE, Backend, bits, open_backend, open_pair, reply_to

from vgpu_emu.guest.probe import VERSION_1, probe
from vgpu_emu.link.chain import Chain
from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.front.handshake import MAX_CAPSETS
from vgpu_emu.peers.front.machine import FrontConfig
from vgpu_emu.peers.front.opening import connect, open_device
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, Config, Feature
from vgpu_wire.messages import parse_message
from vgpu_wire.vhost_user import U64, ConfigSpace, FrontendRequest, ProtocolFeature

pytestmark = pytest.mark.usefixtures("nothing_left")
INFO = HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)


async def test_driver_probes_the_device(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair() as (backend, machine):
        assert [*dict.fromkeys(backend.heard)] == [*SEQUENCE]
        await machine.run(probe(machine.driver))
        assert machine.driver.features == {Feature.VIRGL, Feature.EDID}
        assert machine.driver.outputs[0].size == (1024, 768)
        assert machine.driver.outputs[0].edid is not None
        assert [capset.id for capset in machine.driver.capsets.known] == [1]
        assert machine.region.size == REGION


async def test_what_was_said_is_logged(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair() as (_, machine):
        await machine.run(machine.driver.command(INFO, 408))
        said = [(m.sender, parse_message(m.data).type) for m in machine.log.messages("controlq")]
        assert said == [("guest", CtrlType.GET_DISPLAY_INFO), ("vmm", CtrlType.RESP_OK_DISPLAY_INFO)]


async def test_port_takes_requests_that_no_driver_sends(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair() as (_, machine):
        machine.port.send([Chain(900, CONTROLQ, b"short", 24), Chain(901, CONTROLQ, INFO.build(), 408)])
        used = await machine.port.receive()
        assert [(each.head, len(each.written)) for each in used] == [(900, 24), (901, 408)]


@pytest.mark.parametrize("wanted", [{Feature.EDID}, set(), {Feature.CONTEXT_INIT, Feature.EDID}])
async def test_no_feature_is_taken_that_is_not_wanted_or_lacks_its_needs(
    autojump_clock: trio.testing.MockClock, wanted: set[Feature]
) -> None:
    async with open_pair(FrontConfig(features=frozenset(wanted))) as (_, machine):
        assert machine.driver.features == wanted - {Feature.CONTEXT_INIT}


@pytest.mark.parametrize("missing", [{f} for f in ProtocolFeature if f in PROTOCOL] + [PROTOCOL])
async def test_device_with_fewer_protocol_features_runs(
    autojump_clock: trio.testing.MockClock, missing: set[ProtocolFeature]
) -> None:
    async with open_backend() as (backend, stream):
        fewer = U64(value=bits({*PROTOCOL} - missing)).build()
        backend.lies[FrontendRequest.GET_PROTOCOL_FEATURES] = lambda _, h: reply_to(h.request, fewer)
        async with open_device(stream) as machine:
            await machine.run(probe(machine.driver))
            assert machine.driver.outputs[0].size == (1024, 768)
            maps = not missing & {
                ProtocolFeature.SHMEM_MAP,
                ProtocolFeature.BACKEND_REQ,
                ProtocolFeature.BACKEND_SEND_FD,
            }
            assert machine.region.size == (REGION if maps else 0)


async def test_device_before_virtio_1_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with open_backend() as (backend, stream):
        old = U64(value=bits({*FEATURES} - {VERSION_1})).build()
        backend.lies[FrontendRequest.GET_FEATURES] = lambda _, h: reply_to(h.request, old)
        with pytest.raises(DeviceError, match="VERSION_1 is not offered"):
            async with open_device(stream):
                raise AssertionError


@pytest.mark.parametrize("number", [MAX_CAPSETS - 1, MAX_CAPSETS, MAX_CAPSETS + 1, 2**32 - 1])
async def test_number_of_capsets_has_a_limit(autojump_clock: trio.testing.MockClock, number: int) -> None:
    async with open_backend() as (backend, stream):
        backend.config = Config(num_scanouts=1, num_capsets=number)
        if number <= MAX_CAPSETS:
            async with open_device(stream) as machine:
                assert machine.driver.config.read().num_capsets == number
        else:
            with pytest.raises(DeviceError, match=f"{number} capability sets, limit 64"):
                async with open_device(stream):
                    raise AssertionError


async def test_displays_of_a_device_that_has_none_are_the_front_ends(autojump_clock: trio.testing.MockClock) -> None:
    async with open_backend() as (backend, stream):
        backend.config = Config()
        async with open_device(stream, FrontConfig(scanouts=((640, 480), (800, 600)))) as machine:
            assert machine.driver.config.read() == Config(num_scanouts=2)
            assert machine.offer.config.num_scanouts == 0


async def test_socket_where_nobody_listens_is_named() -> None:
    with pytest.raises(DeviceError, match=r"at the socket: /nowhere/gpu\.sock: No such file") as caught:
        await connect("/nowhere/gpu.sock")
    assert caught.value.fault is DeviceFault.UNREACHABLE
    with pytest.raises(DeviceError, match="path too long"):
        await connect("x" * 200)


def configured(config: ConfigSpace) -> Callable[[Backend, object], bytes]:
    return lambda _, _header: reply_to(FrontendRequest.GET_CONFIG, config.build())


async def test_configuration_that_ends_early_is_taken_as_zero(autojump_clock: trio.testing.MockClock) -> None:
    async with open_backend() as (backend, stream):
        backend.lies[FrontendRequest.GET_CONFIG] = configured(ConfigSpace(size=4, region=bytes(4)))
        async with open_device(stream) as machine:
            assert machine.driver.config.read() == Config(num_scanouts=1)
