"""Classes of defects, each with a program of a few steps, and the oracle that finds it."""

from typing import Any

import pytest

from vgpu_emu.drive.requests import work
from vgpu_emu.fuzz.actions import Call, Plug, Program, Reset, Restart, Send, Step
from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.trial import Conditions, run
from vgpu_emu.link.chain import Chain, Used
from vgpu_wire.blob import ResourceCreateBlob
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.display import Rect, ResourceFlush, SetScanout
from vgpu_wire.render import CmdSubmit, CtxCreate, CtxResource
from vgpu_wire.renderer_link import Op
from vgpu_wire.resource import MemEntry, ResourceAttachBacking, ResourceCreate2D, ResourceUnref
from vgpu_wire.terms import Records


def sent(*requests: Any) -> list[Step]:
    return [Send(request.build()) for request in requests]


def host_blob(blob_mem: int = 2) -> list[Step]:
    """Resource 1, made of object 1 of context 1, which has it attached."""
    alloc = StreamAlloc(exporter=ExporterKind.CACHED.value, blob_id=1, size=4096).build()
    return sent(
        CtxCreate(ctx_id=1, context_init=4),
        CmdSubmit(ctx_id=1, size=len(alloc), commands=alloc),
        ResourceCreateBlob(ctx_id=1, resource_id=1, blob_mem=blob_mem, blob_id=1, size=4096),
        CtxResource(type=CtrlType.CTX_ATTACH_RESOURCE.value, ctx_id=1, resource_id=1),
    )


def image() -> list[Step]:
    """Resource 1, of 16 x 16 pixels, with guest memory behind it."""
    entries = Records.of(MemEntry, [MemEntry(addr=0, length=1024)])
    return sent(
        ResourceCreate2D(resource_id=1, format=1, width=16, height=16),
        ResourceAttachBacking(resource_id=1, nr_entries=1, entries=entries),
    )


class Deaf(Wrapper):
    """A renderer after each question: what `after` makes of it."""

    def __init__(self, inner: Any, op: Op, after: Any) -> None:
        super().__init__(inner)
        self.op, self.after = op, after

    def handle(self, data: bytes, now: float = 0.0) -> Any:
        reply = self.inner.handle(data, now)
        if data[0] == self.op:
            self.after(self.inner)
        return reply


class NotAttached:
    """CTX_ATTACH does not reach the renderer's context."""

    def renderer(self, live: Any) -> Any:
        return Deaf(live, Op.CTX_ATTACH, lambda renderer: renderer.contexts[1].attached.clear())


class DoubledSubmit:
    """A stream is carried out twice; fences come later for it, which they may."""

    def renderer(self, live: Any) -> Any:
        submit = (Op.SUBMIT.value).to_bytes(4, "little")

        class Doubled(Wrapper):
            def handle(self, data: bytes, now: float = 0.0) -> Any:
                if data[:4] == submit:
                    self.inner.handle(data, now)
                return self.inner.handle(data, now)

        return Doubled(live)


class ContextInitLost:
    def renderer(self, live: Any) -> Any:
        def lose(renderer: Any) -> None:
            renderer.contexts[1].context_init = 0

        return Deaf(live, Op.CTX_CREATE, lose)


class AfterReset(Wrapper):
    """Reset leaves, or changes, what it should not."""

    def reset(self) -> Any:
        features = self.inner.features
        yield from self.inner.reset()
        self.leave(features)


class ResetReplugs:
    def device(self, live: Any) -> Any:
        class Replugs(AfterReset):
            def leave(self, _features: Any) -> None:
                self.inner.displays.scanouts[0].enabled = True

        return Replugs(live)


class ResetKeepsFeatures:
    def device(self, live: Any) -> Any:
        class Keeps(AfterReset):
            def leave(self, features: Any) -> None:
                self.inner.features = features

        return Keeps(live)


class UuidsAnew:
    """Each VMM makes up UUIDs of its own."""

    def __init__(self) -> None:
        self.vmms = 0

    def device(self, live: Any) -> Any:
        self.vmms += 1
        return Salted(live, self.vmms)


class Salted(Wrapper):
    def __init__(self, inner: Any, salt: int) -> None:
        super().__init__(inner)
        self.salt = salt

    def handle(self, chain: Chain) -> Any:
        used = self.inner.handle(chain)
        if chain.readable[:4] != CtrlType.RESOURCE_ASSIGN_UUID.to_bytes(4, "little"):
            return used
        return Used(used.head, used.queue, used.written[:-1] + bytes([self.salt]))


class DriverForgets:
    """The driver does not send requests of this type, and takes them for answered."""

    number = 0

    def driver(self, live: Any) -> Any:
        return Forgetful(live, self.number)


class Forgetful(Wrapper):
    def __init__(self, inner: Any, number: int) -> None:
        super().__init__(inner)
        self.number = number

    def queue(self, request: Any, callback: Any = None, *rest: Any, **more: Any) -> Any:
        if request.type != self.number:
            return (yield from self.inner.queue(request, callback, *rest, **more))
        if callback is not None:
            callback(bytes(24))
        return True


def forgets(number: CtrlType) -> type:
    return type(f"Forgets_{number.name}", (DriverForgets,), {"number": number.value})


class UnrefsAtOnce:
    """The driver ends a resource as soon as it is made."""

    def driver(self, live: Any) -> Any:
        return Hasty(live)


class Hasty(Wrapper):
    def queue(self, request: Any, *rest: Any, **more: Any) -> Any:
        done = yield from self.inner.queue(request, *rest, **more)
        if request.type == CtrlType.RESOURCE_ATTACH_BACKING:
            yield from self.inner.queue(ResourceUnref(resource_id=request.resource_id))
        return done


class SignalsAll:
    """The driver takes every fence before the one that is answered for signalled, whatever its ring."""

    def driver(self, live: Any) -> Any:
        process = live.fences.process

        def processed(fence_id: int) -> None:
            for number in range(1, fence_id + 1):
                process(number)

        live.fences.process = processed
        return live


class SignalsNone:
    def driver(self, live: Any) -> Any:
        live.fences.process = lambda _fence_id: None
        return live


#: work on ring 1, and then less on ring 2
TWO_RINGS: list[Step] = [
    Call("open"),
    Call("context_init", (0, 3)),
    Call("execbuffer", (0, 1, 900)),
    Call("execbuffer", (0, 2, 100)),
]
IMAGE_CALLS: list[Step] = [Call("open"), Call("image")]
#: somebody who is no driver asks for something, too
BESIDE = sent(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value))
#: guest memory that is more than what belongs to firmware and queues
LARGE = Setup(memory=(1 << 20) + (1 << 17))


@pytest.mark.parametrize(
    ("defect", "steps", "oracle"),
    [
        (forgets(CtrlType.RESOURCE_UNREF), [*IMAGE_CALLS, Call("close_handle")], "I10"),
        (forgets(CtrlType.RESOURCE_UNREF), IMAGE_CALLS, "I10"),
        (forgets(CtrlType.RESOURCE_UNREF), [*BESIDE, *IMAGE_CALLS], "I10"),
        (forgets(CtrlType.CTX_DESTROY), [*BESIDE, *IMAGE_CALLS], "I10"),
        (forgets(CtrlType.CTX_DETACH_RESOURCE), [*IMAGE_CALLS, Call("mmap"), Call("close_handle")], "I6"),
        (forgets(CtrlType.CTX_ATTACH_RESOURCE), [*IMAGE_CALLS, Call("image")], "I10"),
        (forgets(CtrlType.RESOURCE_ATTACH_BACKING), IMAGE_CALLS, "I9"),
        (UnrefsAtOnce, IMAGE_CALLS, "I10"),
        (SignalsAll, TWO_RINGS, "I21"),
        (SignalsNone, [*BESIDE, *TWO_RINGS], "I21"),
    ],
)
def test_defect_of_the_driver_is_found(defect: Any, steps: list[Step], oracle: str) -> None:
    program = Program(LARGE, tuple(steps))
    assert run(program).found is None
    found = run(program, Conditions(defects=(defect,))).found
    assert found is not None
    assert found.oracle == oracle


class FlushesNothing:
    def device(self, live: Any) -> Any:
        live.displays.flush = lambda _resource_id, _r: 1
        return live


class FlushesWhole:
    """A flush of a part is one of all that a scanout shows, which says where it starts in the scanout's pixels."""

    def device(self, live: Any) -> Any:
        flush = live.displays.flush

        def whole(resource_id: int, r: Rect) -> int:
            return int(flush(resource_id, Rect(width=r.width, height=r.height)))

        live.displays.flush = whole
        return live


class ShowsOldPixels:
    """A flush shows what the image had when it was set as a scanout."""

    def device(self, live: Any) -> Any:
        flush = live.displays.flush

        def stale(resource_id: int, r: Rect) -> int:
            live.resources[resource_id].pixels[0] ^= 1
            return int(flush(resource_id, r))

        live.displays.flush = stale
        return live


def shown(*flushes: Rect) -> list[Step]:
    return [
        *image(),
        *sent(
            SetScanout(resource_id=1, r=Rect(width=16, height=16)),
            *(ResourceFlush(resource_id=1, r=r) for r in flushes),
        ),
    ]


@pytest.mark.parametrize(
    ("defect", "steps", "oracle"),
    [
        (NotAttached, host_blob(), "I10"),
        (NotAttached, host_blob(blob_mem=3), "I10"),
        (ContextInitLost, host_blob(), "I6"),
        (DoubledSubmit, sent(CtxCreate(ctx_id=1), work(1, 1)), "I6"),
        (ResetReplugs, [Plug(0, 0, 0), Reset()], "I6"),
        (ResetKeepsFeatures, [], "I35"),
        (UuidsAnew, [*image(), Restart()], "I30"),
        (FlushesNothing, shown(Rect(width=16, height=16)), "I13"),
        (FlushesWhole, shown(Rect(x=4, y=4, width=8, height=8)), "I13"),
        (ShowsOldPixels, shown(Rect(width=16, height=16)), "I16"),
    ],
)
def test_defect_is_found(defect: Any, steps: list[Step], oracle: str) -> None:
    program = Program(Setup(), tuple(steps))
    assert run(program).found is None
    found = run(program, Conditions(defects=(defect,))).found
    assert found is not None
    assert found.oracle == oracle
