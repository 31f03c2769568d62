"""Each oracle of one thread fires on a defect, and the same program without the defect has no finding."""

from collections.abc import Callable
from typing import Any

import pytest
from test_defects import FIRES

from vgpu_emu.drive.requests import PAGE, attach, create_2d, flush, host_blob, submit, work
from vgpu_emu.fuzz.actions import Call, Elapse, Program, Restart, Send, Step
from vgpu_emu.fuzz.batches import Plan, Work
from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.defects import mappings, renderers, requests
from vgpu_emu.fuzz.defects.planted import Unchecked, around
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.oracles import that_apply
from vgpu_emu.fuzz.trial import Conditions, run
from vgpu_emu.fuzz.worker import MINIMISED, carry_out
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.waiting import Op
from vgpu_emu.ids import ResourceId
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.vmm.rules import Rule
from vgpu_wire.blob import ResourceMapBlob
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ
from vgpu_wire.render import CtxCreate, GetCapsetInfo
from vgpu_wire.resource import ResourceAssignUuid, RespResourceUuid


class MapsNextPage:
    """The driver maps a blob a page behind its place."""

    def driver(self, driver: Any) -> Any:
        return _Shifted(driver)


class _Shifted(Wrapper):
    def new_mmap_offset(self, gem: Any) -> int:
        mmap = gem.mmap

        def shifted(*arguments: int) -> Op[Vma]:
            vma: Vma = yield from mmap(*arguments)
            vma.start += PAGE
            return vma

        gem.mmap = shifted
        return int(self.inner.new_mmap_offset(gem))


class _Answering(Wrapper):
    """A device that answers some requests itself."""

    def __init__(self, inner: Any, answer: Callable[[Any, Chain], bytes | None]) -> None:
        super().__init__(inner)
        self.answer = answer

    def handle(self, chain: Chain) -> Any:
        written = self.answer(self.inner, chain)
        return self.inner.handle(chain) if written is None else Used(chain.head, chain.queue, written)


class MapsTwice:
    """The driver maps a blob a page behind its place; then it asks the device to map it, which the device has done."""

    def driver(self, driver: Any) -> Any:
        return _Twice(driver)


class _Twice(_Shifted):
    def new_mmap_offset(self, gem: Any) -> int:
        offset = super().new_mmap_offset(gem)
        mmap = gem.mmap

        def twice(*arguments: int) -> Op[Vma]:
            vma: Vma = yield from mmap(*arguments)
            self.inner.queue_bytes(CONTROLQ, ResourceMapBlob(resource_id=gem.resource_id).build(), 32)
            return vma

        gem.mmap = twice
        return offset


def answering(number: int, record: CtrlHdr) -> type:
    """A defect: a request of this type is answered so."""

    def device(_self: object, live: Any) -> Any:
        is_asked = number.to_bytes(4, "little")
        return _Answering(live, lambda _live, chain: record.build() if chain.readable[:4] == is_asked else None)

    return type(f"Answers{number:x}", (), {"device": device})


class TakesIdsTwice:
    """A resource is made under an id that is alive, in the place of the one that has it."""

    def device(self, device: Any) -> Any:
        def created(handler: Any, live: Any, request: Any) -> Any:
            live.resources.pop(request.resource_id, None)
            return handler(live, request)

        around(device, CtrlType.RESOURCE_CREATE_2D, created)
        return device


class FencesWithoutLimit(Unchecked):
    rules = frozenset({Rule.FENCE_LIMIT})


class Raises:
    def device(self, device: Any) -> Any:
        around(device, CtrlType.RESOURCE_FLUSH, lambda _handler, live, _request: live.resources[ResourceId(0)])
        return device


class WritesToMemory:
    """A flush leaves a byte in guest memory."""

    def device(self, device: Any) -> Any:
        def flushed(handler: Any, live: Any, request: Any) -> Any:
            live.memory.write(64, b"x")
            return handler(live, request)

        around(device, CtrlType.RESOURCE_FLUSH, flushed)
        return device


class GatesOpen:
    def device(self, device: Any) -> Any:
        device._needs = frozenset()
        device.features = device.features
        return device


def requested(*records: CtrlHdr) -> list[Step]:
    return [Send(record.build()) for record in records]


OBJECT = (CtxCreate(ctx_id=1), submit(1, StreamAlloc(exporter=ExporterKind.WC.value, blob_id=1, size=PAGE)))
IMAGE = (create_2d(1), attach(1, (0, 1 << 14)))
REAL = Setup(real=True, memory=(1 << 20) + (1 << 17))
#: 2^28 + 1 entries, of which one is there
MANY_ENTRIES = attach(1, (0, PAGE)).build()[:28] + (1 << 28 | 1).to_bytes(4, "little") + bytes(16)
REUSED = [Call(name) for name in ("open", "blob", "mmap", "munmap", "close_handle", "blob", "mmap", "load")]
SUCCESS = HeaderOnly(type=CtrlType.RESP_OK_NODATA.value)
UUID = RespResourceUuid(type=CtrlType.RESP_OK_RESOURCE_UUID.value, uuid=b"u" * 16)
#: oracle -> a defect, and a program that shows it
SHOWN: dict[str, tuple[type, Program]] = {
    "I4": (MapsNextPage, Program(REAL, (Call("open"), Call("blob"), Call("mmap")))),
    "I5": (answering(0x1FF, SUCCESS), Program(Setup(), tuple(requested(HeaderOnly(type=0x1FF))))),
    "I7": (
        answering(CtrlType.GET_DISPLAY_INFO.value, SUCCESS),
        Program(Setup(), tuple(requested(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)))),
    ),
    "I8": (TakesIdsTwice, Program(Setup(), tuple(requested(create_2d(1), create_2d(1))))),
    "I15": (
        mappings.OffsetWraps,
        Program(Setup(), tuple(requested(*OBJECT, host_blob(1), ResourceMapBlob(resource_id=1, offset=-PAGE % 2**64)))),
    ),
    "I17": (
        requests.EntriesWrap,
        Program(Setup(), (*requested(create_2d(1)), Send(MANY_ENTRIES))),
    ),
    "I23": (
        answering(CtrlType.RESOURCE_ASSIGN_UUID.value, UUID),
        Program(Setup(), tuple(requested(*IMAGE, create_2d(2), *(ResourceAssignUuid(resource_id=n) for n in (1, 2))))),
    ),
    "I24": (renderers.NotZeroed, Program(REAL, tuple(REUSED))),
    "I26": (
        answering(CtrlType.SUBMIT_3D.value, SUCCESS),
        Program(Setup(), tuple(requested(OBJECT[0], submit(1, StreamAlloc(exporter=77, blob_id=1, size=PAGE))))),
    ),
    "I28": (Raises, Program(Setup(), tuple(requested(*IMAGE, flush())))),
    "I29": (
        FencesWithoutLimit,
        Program(
            Setup(fences=2), (*requested(OBJECT[0], *(work(1, 1, fence_id=n) for n in range(1, 5))), Elapse(1 << 20))
        ),
    ),
    "I30": (
        mappings.RestoredCached,
        Program(Setup(), (*requested(*OBJECT, host_blob(1), ResourceMapBlob(resource_id=1)), Restart())),
    ),
    "I31": (WritesToMemory, Program(Setup(), tuple(requested(*IMAGE, flush())))),
    "I35": (GatesOpen, Program(Setup(features=0), tuple(requested(GetCapsetInfo())))),
}


@pytest.mark.parametrize("oracle", SHOWN)
def test_oracle_fires_on_a_program(oracle: str) -> None:
    defect, program = SHOWN[oracle]
    assert run(program).found is None
    found = run(program, Conditions(defects=(defect,))).found
    assert found is not None
    assert found.oracle == oracle


def test_what_a_call_shows_is_told_and_not_what_its_last_requests_show() -> None:
    found = run(SHOWN["I4"][1], Conditions(defects=(MapsTwice,))).found
    assert found is not None
    assert found.oracle == "I4"


class Moody:
    """UUIDs are other ones with each machine that is made."""

    made = 0

    def device(self, device: Any) -> Any:
        Moody.made += 1
        mood = Moody.made

        def assign(_handler: Any, _device: Any, request: Any) -> Any:
            return RespResourceUuid(uuid=(mood << 32 | request.resource_id).to_bytes(16, "little"))

        around(device, CtrlType.RESOURCE_ASSIGN_UUID, lambda *call: handled(*call) and assign(*call))
        return device


def handled(handler: Any, device: Any, request: Any) -> Any:
    return handler(device, request)


def test_replay_fires_on_a_device_that_is_another_each_time() -> None:
    batch = carry_out(Work(Plan(1), 0, 60), Conditions(defects=(Moody,)))
    kinds = [finding.kind for finding in batch.findings]
    assert "I34" in {finding.found.oracle for finding in batch.findings}
    assert len(kinds) == len(set(kinds)) <= MINIMISED


#: I36 is about all of these
ELSEWHERE = {"I34", "I36"}


def test_every_oracle_of_the_core_has_a_defect() -> None:
    assert {oracle.name for oracle in that_apply("core")} == {*FIRES, *SHOWN, *ELSEWHERE}
