"""Driver and device as a state machine of Hypothesis: rules are requests, on a few ids that are used again and again.

The fuzzer's reference watches every answer, and at the end nothing may be left. What fails shrinks to the requests that
it takes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vgpu_emu.fuzz.actions import Elapse, Restart, Send
from vgpu_emu.fuzz.core import Core
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.commands import COMMANDS
from vgpu_emu.fuzz.model.setup import PAGE, Setup
from vgpu_emu.vmm.profiles import Profile
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.context_stream import StreamAlloc, StreamWork
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.display import Rect, SetScanout
from vgpu_wire.render import CmdSubmit, CtxCreate, CtxDestroy
from vgpu_wire.resource import MemEntry, ResourceAttachBacking, ResourceCreate2D, ResourceDetachBacking, ResourceUnref
from vgpu_wire.terms import Records

if TYPE_CHECKING:
    from hypothesis.stateful import RuleBasedStateMachine

#: pixels of an image's side
_SIDE = 16
_FENCE = CtrlFlag.FENCE.value


class Pair:
    """One machine, with context 1, and the next id of a fence or an object. Every call raises Finding."""

    def __init__(self, profile: Profile | None, defects: Sequence[Any]) -> None:
        self.core = Core(Setup(), profile=profile, defects=defects, look=True)
        self._ids = 0
        self._found = False
        self.send(CtxCreate(ctx_id=1))

    def next_id(self) -> int:
        self._ids += 1
        return self._ids

    def send(self, request: CtrlHdr) -> None:
        command = COMMANDS[request.type]
        self._do(lambda: self.core.send(Send(request.build(), command.queue)))

    def alloc(self, ctx_id: int, blob_id: int, exporter: int, pages: int) -> None:
        """The renderer gets an object that a blob can be made of."""
        stream = StreamAlloc(exporter=exporter, blob_id=blob_id, size=pages * PAGE).build()
        self.send(CmdSubmit(ctx_id=ctx_id, size=len(stream), commands=stream))

    def elapse(self, microseconds: int) -> None:
        self._do(lambda: self.core.elapse(Elapse(microseconds)))

    def plug(self, width: int) -> None:
        self._do(lambda: self.core.plug(0, width, width))

    def restart(self) -> None:
        self._do(lambda: self.core.restart(Restart()))

    def _do(self, act: Any) -> None:
        """What comes after a finding means nothing."""
        try:
            act()
            self.core.audit()
        except BaseException:
            self._found = True
            raise

    def close(self) -> None:
        """Nothing is left. Raises Finding."""
        try:
            if not self._found:
                self.core.end()
        finally:
            self.core.close()
        left = self.core.parts.leaks()
        if left and not self._found:
            raise Finding("I11", left[0])


def pair_machine(*, profile: Profile | None = None, defects: Sequence[Any] = ()) -> "type[RuleBasedStateMachine]":
    """A state machine to run (``run_state_machine_as_test``), or whose TestCase pytest collects.

    profile: of the device; None: strict. defects: see vgpu_emu.fuzz.defect.
    """
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, rule

    # few, so that most requests meet something that is alive, and ids of what is gone are used again
    contexts, resources = st.sampled_from((1, 1, 1, 2)), st.integers(1, 2)
    exporters, places = st.sampled_from((2, 1, 2, 1, 3, 4, 5)), st.integers(0, 3)

    class PairMachine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.pair = Pair(profile, defects)

        def teardown(self) -> None:
            self.pair.close()

        @rule(ctx_id=contexts)
        def create_context(self, ctx_id: int) -> None:
            self.pair.send(CtxCreate(ctx_id=ctx_id))

        @rule(ctx_id=contexts)
        def destroy_context(self, ctx_id: int) -> None:
            self.pair.send(CtxDestroy(ctx_id=ctx_id))

        @rule(
            resource_id=resources, ctx_id=contexts, exporter=exporters, pages=st.integers(1, 4), page=places | st.none()
        )
        def create_blob(self, resource_id: int, ctx_id: int, exporter: int, pages: int, page: int | None) -> None:
            """A blob in the place of what had the id before; page: where it is mapped at once."""
            self.pair.send(ResourceUnref(resource_id=resource_id))
            blob_id = self.pair.next_id()
            self.pair.alloc(ctx_id, blob_id, exporter, pages)
            blob = ResourceCreateBlob(ctx_id=ctx_id, resource_id=resource_id, blob_id=blob_id, size=pages * PAGE)
            flags, mem = BlobFlag.USE_MAPPABLE.value, BlobMem.HOST3D.value
            self.pair.send(_with(blob, blob_flags=flags, blob_mem=mem))
            if page is not None:
                self.pair.send(ResourceMapBlob(resource_id=resource_id, offset=page * PAGE))

        @rule(resource_id=resources, page=places, fence=st.booleans())
        def map_blob(self, resource_id: int, page: int, fence: bool) -> None:
            request = ResourceMapBlob(resource_id=resource_id, offset=page * PAGE)
            self.pair.send(_with(request, flags=_FENCE, fence_id=self.pair.next_id()) if fence else request)

        @rule(resource_id=resources)
        def unmap_blob(self, resource_id: int) -> None:
            self.pair.send(ResourceUnmapBlob(resource_id=resource_id))

        @rule(resource_id=resources)
        def create_2d(self, resource_id: int) -> None:
            self.pair.send(ResourceCreate2D(resource_id=resource_id, format=1, width=_SIDE, height=_SIDE))

        @rule(resource_id=resources, page=st.integers(0, 3))
        def attach_backing(self, resource_id: int, page: int) -> None:
            entry = MemEntry(addr=page * PAGE, length=4 * _SIDE * _SIDE)
            entries = Records.of(MemEntry, [entry])
            self.pair.send(ResourceAttachBacking(resource_id=resource_id, nr_entries=1, entries=entries))

        @rule(resource_id=resources)
        def detach_backing(self, resource_id: int) -> None:
            self.pair.send(ResourceDetachBacking(resource_id=resource_id))

        @rule(resource_id=resources)
        def unref(self, resource_id: int) -> None:
            self.pair.send(ResourceUnref(resource_id=resource_id))

        @rule(resource_id=resources, scanout_id=st.integers(0, 2))
        def set_scanout(self, resource_id: int, scanout_id: int) -> None:
            rect = Rect(width=_SIDE, height=_SIDE)
            self.pair.send(SetScanout(r=rect, scanout_id=scanout_id, resource_id=resource_id))

        @rule(ctx_id=contexts, microseconds=st.integers(1, 1000))
        def work(self, ctx_id: int, microseconds: int) -> None:
            """Fenced work of a context."""
            stream = StreamWork(microseconds=microseconds).build()
            fence_id = self.pair.next_id()
            self.pair.send(CmdSubmit(flags=_FENCE, fence_id=fence_id, ctx_id=ctx_id, size=len(stream), commands=stream))

        @rule(microseconds=st.integers(0, 2000))
        def elapse(self, microseconds: int) -> None:
            self.pair.elapse(microseconds)

        @rule(width=st.sampled_from([0, 640]))
        def plug(self, width: int) -> None:
            self.pair.plug(width)

        @rule()
        def restart(self) -> None:
            self.pair.restart()

        @rule()
        def display_info(self) -> None:
            self.pair.send(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value))

    return PairMachine


def _with(request: Any, **members: int) -> Any:
    from msgspec.structs import replace

    return replace(request, **members)
