"""Calls of guest programs: each does something, and a driver or device that gets one wrong is found."""

from collections.abc import Callable
from typing import Any

import pytest

from vgpu_emu.fuzz.actions import Call, Elapse, Plug, Program, Send, Step
from vgpu_emu.fuzz.belongings import Belongings
from vgpu_emu.fuzz.calls import CALLS, op_of
from vgpu_emu.fuzz.core import Core
from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.judge import Judge
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.model.world import World
from vgpu_emu.fuzz.saying import SAID
from vgpu_emu.fuzz.trial import run
from vgpu_emu.guest.waiting import Op
from vgpu_wire.control import CtrlFlag, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ
from vgpu_wire.display import UpdateCursor
from vgpu_wire.resource import ResourceCreate2D, ResourceUnref

RAM = (1 << 20) + (1 << 17)
SHOWN = (Call("open"), Call("screen"), Call("crtc"))
CONTEXT = (Call("open"), Call("context_init"))
POLLED = (Call("open"), Call("context_init", (0, 2, 0, 0, 1)), Call("execbuffer", (0, 1)))
#: without VIRGL: what other drivers' memory is imported into
BLOBS_ALONE = 0x0E


def found_in(*steps: Step, features: int = 0x3F, defect: Any = None) -> Finding | None:
    core = Core(Setup(features=features, real=True, memory=RAM), defects=() if defect is None else (defect,), look=True)
    try:
        core.run(Program(core.world.setup, steps))
    except Finding as finding:
        return finding
    finally:
        core.close()
    return None


#: call -> steps after which it does what it is for, and what must have been sent then
DOES: dict[str, tuple[tuple[Step, ...], int | None]] = {
    "screen": ((Call("open"), Call("screen")), CtrlType.RESOURCE_CREATE_2D),
    "framebuffer": ((Call("open"), Call("blob"), Call("framebuffer"), Call("crtc")), CtrlType.SET_SCANOUT_BLOB),
    "remove_framebuffer": ((*SHOWN, Call("remove_framebuffer")), CtrlType.SET_SCANOUT),
    "crtc": ((*SHOWN, Call("crtc", (0, 0, 1, 1))), CtrlType.SET_SCANOUT),
    "flip": ((*SHOWN, Call("screen"), Call("flip", (0, 1, 1))), CtrlType.SET_SCANOUT),
    "dirty": ((*SHOWN, Call("dirty", (0, 3, 4, 5, 6, 2))), CtrlType.RESOURCE_FLUSH),
    "cursor": ((Call("open"), Call("screen", (0, 0, 0, 0, 1)), Call("cursor")), CtrlType.UPDATE_CURSOR),
    "move": (
        (Call("open"), Call("screen", (0, 0, 0, 0, 1)), Call("cursor"), Call("move", (0, 3, 60))),
        CtrlType.MOVE_CURSOR,
    ),
    "export": ((Call("open"), Call("image"), Call("export")), CtrlType.RESOURCE_ASSIGN_UUID),
    "take": (
        (*[Call("open")] * 2, *[Call("context_init")] * 2, Call("image"), Call("export"), Call("take", (1,))),
        CtrlType.CTX_ATTACH_RESOURCE,
    ),
    "share": ((Call("open"), Call("image"), Call("share", (0, 0, 1))), CtrlType.RESOURCE_ASSIGN_UUID),
    "probe": ((Call("probe"),), CtrlType.GET_DISPLAY_INFO),
    "hotplug": ((Call("probe"), Plug(0, 640, 480), Call("hotplug")), CtrlType.GET_EDID),
    "capset": ((Call("open"), Call("capset", (0, 1, 2))), CtrlType.GET_CAPSET),
    "map_again": ((Call("open"), Call("blob"), Call("mmap"), Call("map_again")), None),
    "uuid": ((Call("open"), Call("image"), Call("export"), Call("uuid")), None),
    "attach": ((Call("open"), Call("press", (3,)), Call("image"), Call("export"), Call("attach")), None),
    "close_dma_buf": ((Call("open"), Call("image"), Call("export"), Call("close_dma_buf")), None),
    "syncobj": ((*CONTEXT, Call("syncobj"), Call("submit_after", (0, 2, 0, 0, 0, 1))), CtrlType.SUBMIT_3D),
    "submit_after": ((*CONTEXT, Call("execbuffer"), Call("submit_after", (0, 2, 0, 1))), CtrlType.SUBMIT_3D),
    "wait_syncobj": ((*CONTEXT, Call("syncobj", (0, 1)), Call("wait_syncobj")), None),
    "destroy_syncobj": ((*CONTEXT, Call("syncobj"), Call("destroy_syncobj")), None),
    "event": ((*POLLED, Elapse(9), Call("event")), None),
    "press": ((Call("press"), Call("open"), Call("screen", (0, 1, 0, 0, 1))), CtrlType.RESOURCE_ATTACH_BACKING),
}


class Recorder(Wrapper):
    """sent: the types of all requests."""

    def queue(self, request: Any, *rest: Any, **more: Any) -> Op[bool]:
        self.sent.append(request.type)
        is_sent: bool = yield from self.inner.queue(request, *rest, **more)
        return is_sent

    def queue_cursor(self, request: Any) -> Op[None]:
        self.sent.append(request.type)
        yield from self.inner.queue_cursor(request)


class Records:
    def __init__(self) -> None:
        self.sent: list[int] = []

    def driver(self, live: Any) -> Any:
        recorder = Recorder(live)
        object.__setattr__(recorder, "sent", self.sent)
        return recorder


@pytest.mark.parametrize("name", DOES)
def test_call_does_what_it_is_for(name: str) -> None:
    steps, wanted = DOES[name]
    records = Records()
    core = Core(Setup(real=True, memory=RAM), defects=(records,))
    try:
        for step in steps[:-1]:
            core.do(step)
        before = len(records.sent)
        last = steps[-1]
        assert isinstance(last, Call)
        # by itself: a step that the kernel refuses is none that fails
        core.lockstep.run(op_of(core.guest, last))
        core.lockstep.kick()
        core.end()
    finally:
        core.close()
    assert wanted is None or wanted in records.sent[before:]


def test_memory_of_another_driver_is_shown_and_moves() -> None:
    steps = (Call("open"), Call("foreign", (0, 5, 1)), Call("framebuffer"), Call("crtc"), Call("move_foreign", (0, 9)))
    records = Records()
    assert found_in(*steps, features=BLOBS_ALONE, defect=records) is None
    assert CtrlType.RESOURCE_DETACH_BACKING in records.sent
    assert found_in(*steps[:-1], Call("remove_framebuffer"), steps[-1], features=BLOBS_ALONE) is None


def test_fragmented_memory_makes_objects_of_several_pieces() -> None:
    core = Core(Setup(real=True, memory=RAM), look=True)
    try:
        for step in (Call("open"), Call("press", (3,)), Call("screen", (0, 0, 0, 0, 1))):
            core.do(step)
        (stretches,) = [resource.stretches for resource in core.world.resources.values()]
        assert stretches is not None
        assert len(stretches) > 2
        core.end()
    finally:
        core.close()


# -- what is found


def dropping(drops: Callable[[Any], bool]) -> type:
    """A driver that does not send what `drops` says."""

    class Dropping(Wrapper):
        def queue(self, request: Any, *rest: Any, **more: Any) -> Op[bool]:
            if drops(request):
                return True
            is_sent: bool = yield from self.inner.queue(request, *rest, **more)
            return is_sent

    class Drops:
        def driver(self, live: Any) -> Any:
            return Dropping(live)

    return Drops


class CursorStaysWhereItWas(Wrapper):
    def queue_cursor(self, request: Any) -> Op[None]:
        at = 0 if request.type == CtrlType.MOVE_CURSOR else request.pos.x
        changed = UpdateCursor(
            type=request.type, pos=type(request.pos)(x=at), resource_id=request.resource_id, hot_x=request.hot_x
        )
        yield from self.inner.queue_cursor(changed)


class StaleCursor:
    def driver(self, live: Any) -> Any:
        return CursorStaysWhereItWas(live)


class ForgetsDisplays:
    """The driver takes displays for as large as they were at first."""

    def driver(self, live: Any) -> Any:
        answered = live.outputs.set_display_info

        def first(buffer: bytes) -> None:
            if not live.outputs.hotplugs:
                answered(buffer)
            live.outputs.is_pending = False

        live.outputs.set_display_info = first
        return live


FOUND: dict[str, tuple[Any, tuple[Step, ...], str]] = {
    "flush": (dropping(lambda r: r.type == CtrlType.RESOURCE_FLUSH), SHOWN, "I6"),
    "pixels": (dropping(lambda r: r.type == CtrlType.TRANSFER_TO_HOST_2D), SHOWN, "I6"),
    "off": (
        dropping(lambda r: r.type == CtrlType.SET_SCANOUT and not r.resource_id),
        (*SHOWN, Call("crtc", (0, 0, 0, 0, 0, 4))),
        "I13",
    ),
    "uuid": (
        dropping(lambda r: r.type == CtrlType.RESOURCE_ASSIGN_UUID),
        (Call("open"), Call("image"), Call("export")),
        "I6",
    ),
    "cursor": (StaleCursor, DOES["move"][0], "I6"),
    "detached": (
        dropping(lambda r: r.type == CtrlType.CTX_DETACH_RESOURCE and r.resource_id == 2),
        (*CONTEXT, *[Call("image")] * 3, Call("close_file")),
        "I6",
    ),
    "closed": (
        dropping(lambda r: r.type == CtrlType.CTX_DETACH_RESOURCE),
        (*CONTEXT, Call("image"), Call("close_handle")),
        "I6",
    ),
    "displays": (ForgetsDisplays, (Call("probe"), Plug(0, 640, 480), Call("hotplug")), "I6"),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_a_driver_does_wrong_is_found(name: str) -> None:
    defect, steps, oracle = FOUND[name]
    assert found_in(*steps) is None
    found = found_in(*steps, defect=defect)
    assert found is not None
    assert found.oracle == oracle


def test_what_is_refused_makes_nothing_the_driver_s() -> None:
    world = World(Setup(fences=0))
    judge, theirs = Judge(world), ResourceCreate2D(resource_id=1, format=1, width=1, height=1).build()
    judge.request(1, CONTROLQ, theirs, 24)
    judge.answer(1, CONTROLQ, HeaderOnly(type=CtrlType.RESP_OK_NODATA.value).build())
    fenced = theirs[:4] + bytes([CtrlFlag.FENCE]) + theirs[5:]
    case = judge.request(2, CONTROLQ, fenced, 24)
    belongings = Belongings()
    belongings.made(case, fenced, world)
    assert 1 in world.resources
    assert not belongings.has(1)


def test_what_nobody_can_compare_is_not_counted() -> None:
    """After a request that no driver sends."""
    calls = [Call(name) for name in ("open", "blob", "mmap", "load", "export", "uuid")]
    setup, unknown = Setup(real=True, memory=RAM), Send(ResourceUnref(resource_id=77).build())
    asked, others = (run(Program(setup, (*before, *calls))).evaluated for before in ((), (unknown,)))
    assert {"I2", "I24"} <= {oracle for oracle, count in asked.items() if count > others[oracle]}
    assert not others["I24"]


def test_every_call_is_told_in_words() -> None:
    assert SAID.keys() == CALLS.keys()


def test_every_call_is_here_or_older() -> None:
    older = tuple(CALLS)[: tuple(CALLS).index("transfer") + 1]
    assert set(CALLS) - set(older) - set(DOES) == {"foreign", "move_foreign"}
