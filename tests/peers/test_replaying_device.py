"""A capture sent to a device that is not ours: memory where there is some, differences, and a device that fails."""

import pytest
import trio
from lying_backend import OurDevice
from msgspec.structs import replace
from test_exploring import failing

from vgpu_emu.drive.requests import attach, create_2d, guest_blob
from vgpu_emu.replaying_device import DeviceFailed, Relocation, replay_on_device
from vgpu_emu.trace.capture import Exchange
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.messages import parse_message
from vgpu_wire.render import GetCapset
from vgpu_wire.resource import ResourceAttachBacking

pytestmark = pytest.mark.usefixtures("nothing_left")
PAGE = 4096
FIRST = 1 << 20
FAR = 0x7_0000_0000
OK, UNSPEC = CtrlType.RESP_OK_NODATA, CtrlType.RESP_ERR_UNSPEC


def recorded(request: CtrlHdr, response: CtrlType = OK, order: int = 0) -> Exchange:
    return Exchange(order, "controlq", None, request.build(), HeaderOnly(type=response.value).build(), 24)


def places(relocation: Relocation, *entries: tuple[int, int], response: CtrlType = OK) -> list[int]:
    request = parse_message(relocation.relocated(recorded(attach(1, *entries), response)))
    assert isinstance(request, ResourceAttachBacking)
    assert [entry.length for entry in request.entries] == [length for _, length in entries]
    return [entry.addr for entry in request.entries]


def test_one_recorded_range_is_always_at_one_place() -> None:
    relocation = Relocation()
    assert places(relocation, (FAR, 3 * PAGE), (0, 16)) == [FIRST, FIRST + 3 * PAGE]
    assert places(relocation, (FAR + 16, 16), (FAR, 3 * PAGE)) == [FIRST + 4 * PAGE + 16, FIRST]


@pytest.mark.parametrize(
    ("pages", "place"), [(15, FIRST + PAGE), (16, FIRST), (17, FAR)], ids=["room left", "shared", "too long"]
)
def test_ranges_share_memory_when_there_is_no_more(pages: int, place: int) -> None:
    relocation = Relocation(FIRST + 16 * PAGE)
    assert places(relocation, (0, PAGE)) == [FIRST]
    assert places(relocation, (FAR, pages * PAGE)) == [place]


def test_addresses_that_were_refused_stay_as_they_were() -> None:
    assert places(Relocation(), (FAR, PAGE), response=UNSPEC) == [FAR]


def test_only_memory_entries_are_changed() -> None:
    relocation = Relocation()
    for request in (create_2d(1), attach(1), HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)):
        assert relocation.relocated(recorded(request)) == request.build()
    blob = guest_blob(7, PAGE, (FAR, PAGE))
    assert relocation.relocated(recorded(blob)) == replace(blob, entries=attach(1, (FIRST, PAGE)).entries).build()


CAPTURE = [
    recorded(create_2d(1), order=0),
    recorded(attach(1, (FAR, PAGE)), order=1),
    recorded(GetCapset(capset_id=60), CtrlType.RESP_ERR_INVALID_PARAMETER, order=2),
    recorded(create_2d(2), order=3),
]


async def test_answers_are_compared_with_the_recorded_ones(autojump_clock: trio.testing.MockClock) -> None:
    outcome = await replay_on_device(CAPTURE, OurDevice())
    assert (outcome.commands, outcome.same) == (4, 3)
    (difference,) = outcome.differences
    assert (difference.order, difference.command) == (2, "GET_CAPSET")
    assert (difference.expected, difference.actual) == ("RESP_ERR_INVALID_PARAMETER", "RESP_ERR_UNSPEC")


async def test_device_that_fails_says_at_which_request(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(DeviceFailed, match=r"#2: the device closed the connection: .* after GET_CAPSET") as caught:
        await replay_on_device(CAPTURE, OurDevice(failing(lambda backend: backend.stream.close())))
    assert caught.value.outcome.commands == 2
    assert caught.value.outcome.differences == []
