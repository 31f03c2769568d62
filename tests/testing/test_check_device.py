"""`check_device`: our device passes however it is reached, and devices with a defect each break a rule."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio.testing
from msgspec.structs import replace

from vgpu_emu import Config, Machine, find_profile, open_machine
from vgpu_emu.testing import DeviceAlone, check_device, check_device_async
from vgpu_emu.testing.device_rules import RULES
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CURSORQ
from vgpu_wire.display import GetEdid, ResourceFlush, RespDisplayInfo, SetScanout
from vgpu_wire.errors import WireError
from vgpu_wire.messages import parse_message
from vgpu_wire.resource import ResourceCreate2D, ResourceUnref, TransferToHost2D

pytestmark = pytest.mark.usefixtures("nothing_left")
OK = HeaderOnly(type=CtrlType.RESP_OK_NODATA.value).build()
ERROR = HeaderOnly(type=CtrlType.RESP_ERR_UNSPEC.value).build()


class Broken(DeviceAlone):
    """Our device behind somebody who spoils requests or answers."""

    def exchange(self, request: bytes, queue: int | None = None, capacity: int = 4096) -> bytes | None:
        try:
            message = parse_message(request)
        except WireError:
            return self.noise(request, queue, capacity)
        return self.spoil(message, capacity)

    def noise(self, request: bytes, queue: int | None, capacity: int) -> bytes | None:
        return super().exchange(request, queue, capacity)

    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        return self.really(request, capacity)

    def really(self, request: CtrlHdr, capacity: int = 4096) -> bytes:
        answer = super().exchange(request.build(), None, capacity)
        assert answer is not None
        return answer


class OneDisplay(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        return self.really(request, capacity)[: RespDisplayInfo.layout.size - 360]


class NoScanout(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        return ERROR if isinstance(request, SetScanout) else self.really(request, capacity)


class FencesOfSuccessOnly(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        answer = self.really(request, capacity)
        return ERROR if request.flags and answer[:2] == b"\x03\x12" else answer


class ShortFenceIds(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        return self.really(replace(request, fence_id=request.fence_id & 0xFFFFFFFF), capacity)


class FencesEverything(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        return self.really(replace(request, flags=request.flags | CtrlFlag.FENCE), capacity)


class TakesAnyCommand(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        return OK if request.type == 0x2FF else self.really(request, capacity)


class Hangs(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        return None if request.type == 0x1FF else self.really(request, capacity)


class UnrefsAnything(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        answer = self.really(request, capacity)
        return OK if isinstance(request, ResourceUnref) and not request.flags else answer


class ReusesIds(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        if isinstance(request, ResourceCreate2D) and request.resource_id:
            self.really(ResourceUnref(resource_id=request.resource_id))
        return self.really(request, capacity)


class KeepsIds(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        if isinstance(request, ResourceUnref) and request.resource_id == 1:
            known = self.really(ResourceFlush(resource_id=1))[:2] != b"\x03\x12"
            return OK if known else ERROR
        return self.really(request, capacity)


class OneScanoutForAll(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        if isinstance(request, SetScanout):
            request = replace(request, scanout_id=0)
        return self.really(request, capacity)


class OneEdidForAll(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        return self.really(GetEdid() if isinstance(request, GetEdid) else request, capacity)


class Clips(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        if isinstance(request, TransferToHost2D | ResourceFlush | SetScanout) and request.r.x == 60:
            request = replace(request, r=replace(request.r, width=4))
        return self.really(request, capacity)


class OffByOne(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        return ERROR if isinstance(request, ResourceFlush) and request.r.x == 63 else self.really(request, capacity)


class AnyFormat(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        if isinstance(request, ResourceCreate2D):
            request = replace(request, format=min(request.format, 2))
        return self.really(request, capacity)


class MakesBeforeItLooks(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        answer = self.really(request, capacity)
        if isinstance(request, ResourceCreate2D) and request.format > 200:
            self.really(replace(request, format=2))
        return answer


class WritesTooMuch(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        return self.really(request) if capacity else b""


class Pads(Broken):
    def noise(self, request: bytes, queue: int | None, capacity: int) -> bytes | None:
        return super().noise(request.ljust(40, b"\0"), queue, capacity)


class DiesOfCursors(Broken):
    died = False

    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        self.died = self.died or request.type == CtrlType.MOVE_CURSOR
        return None if self.died else self.really(request, capacity)


class DiesOfEntries(Broken):
    """A number of memory entries that are not there."""

    def exchange(self, request: bytes, queue: int | None = None, capacity: int = 4096) -> bytes | None:
        if request[:2] == b"\x06\x01" and int.from_bytes(request[28:32], "little") > 1:
            return None
        return super().exchange(request, queue, capacity)


class UnrefsAll(Broken):
    def spoil(self, request: CtrlHdr, capacity: int) -> bytes | None:
        if isinstance(request, ResourceUnref) and request.resource_id == 1:
            self.really(ResourceUnref(resource_id=2))
        return self.really(request, capacity)


#: the defect -> words of the rule that it breaks
DEFECTS: dict[type[Broken], str] = {
    OneDisplay: "16 displays",
    NoScanout: "made, shown, drawn",
    FencesOfSuccessOnly: "error or not",
    ShortFenceIds: "has its fence",
    FencesEverything: "no other answer has one",
    TakesAnyCommand: "an unknown command",
    Hangs: "an unknown command",
    UnrefsAnything: "a resource that there is not",
    ReusesIds: "used once at a time",
    KeepsIds: "used once at a time",
    OneScanoutForAll: "a scanout that there is not is refused",
    OneEdidForAll: "has no EDID",
    Clips: "sticks out",
    OffByOne: "one that fits",
    AnyFormat: "an unknown format",
    MakesBeforeItLooks: "nothing made",
    WritesTooMuch: "room for",
    Pads: "ends early",
    DiesOfCursors: "on the cursorq",
    DiesOfEntries: "whatever is asked",
    UnrefsAll: "do not depend",
}


@pytest.mark.parametrize("profile", ["strict", "vhost-user-gpu"])
@pytest.mark.parametrize("scanouts", [((64, 64),), ((1024, 768),) * 16])
def test_our_device_passes(profile: str, scanouts: tuple[tuple[int, int], ...]) -> None:
    config = Config(profile=find_profile(profile), scanouts=scanouts)
    check_device(partial(DeviceAlone, config))


@pytest.mark.parametrize("virtqueues", [False, True])
async def test_our_device_passes_on_trio(autojump_clock: trio.testing.MockClock, virtqueues: bool) -> None:
    await check_device_async(partial(open_machine, Config(virtqueues=virtqueues)))


async def test_our_device_passes_in_another_process(autojump_clock: trio.testing.MockClock) -> None:
    async with open_machine(isolation="process") as machine:

        @asynccontextmanager
        async def again() -> AsyncGenerator[Machine, None]:
            """The same one, as starting processes takes long, with nothing left of the rule before."""
            yield machine
            for resource_id in (1, 2):
                await machine.run(machine.driver.command(ResourceUnref(resource_id=resource_id)))

        await check_device_async(again)


@pytest.mark.parametrize(
    ("profile", "breaks"),
    [
        ("qemu-2d", "24 of 40 bytes"),
        ("qemu-virgl", "RESOURCE_ATTACH_BACKING: RESP_OK_NODATA"),
        ("crosvm", "GET_EDID of scanout 16: RESP_OK_EDID"),
        ("vhost-device-gpu", "SET_SCANOUT: RESP_OK_NODATA"),
    ],
)
def test_vmm_that_is_known_to_be_lax_is_found_out(profile: str, breaks: str) -> None:
    with pytest.raises(AssertionError, match=breaks):
        check_device(partial(DeviceAlone, Config(profile=find_profile(profile))))


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_defect_breaks_its_rule(defect: Callable[[], Broken]) -> None:
    with pytest.raises(AssertionError) as broken:
        check_device(defect)
    assert DEFECTS[defect] in str(broken.value), str(broken.value)  # type: ignore[index]


def test_every_rule_is_broken_by_a_defect() -> None:
    assert [rule.says for rule in RULES if not any(words in rule.says for words in DEFECTS.values())] == []


def test_answer_to_a_cursor_is_not_looked_at() -> None:
    with DeviceAlone() as device:
        assert device.exchange(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value).build(), CURSORQ) == ERROR
        assert device.broken_rules() == ["COMMAND_KNOWN"]
