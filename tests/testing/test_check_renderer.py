"""`check_renderer`: our renderer passes, and renderers with a defect each break the rule that it is about."""

from collections.abc import Callable
from errno import EINVAL
from typing import Any

import pytest
from msgspec.structs import replace

from vgpu_emu.host.dmabuf import Kernel
from vgpu_emu.host.renderer import Renderer
from vgpu_emu.host.rings import Rings
from vgpu_emu.ids import BlobId, ContextId, Fd, ResourceId
from vgpu_emu.memory import Memory, PassedFd
from vgpu_emu.testing import check_renderer
from vgpu_emu.testing.renderer_rules import PENDING, RULES
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.blob import MapCache
from vgpu_wire.renderer_link import Answer, Op, Question, Signal, numbered, parse_question

pytestmark = pytest.mark.usefixtures("nothing_left")
Reply = tuple[bytes, tuple[PassedFd, ...]]


class Broken(Renderer):
    """A renderer with a defect: `spoil` does what is wrong, or leaves the question to the renderer."""

    def __init__(self) -> None:
        super().__init__(Kernel(Dialect.RFC1))

    def handle(self, data: bytes, now: float = 0.0) -> Reply:
        question = _question(data)
        spoiled = self.spoil(question, data) if question is not None else self.noise(data)
        if spoiled is None:
            return super().handle(data, now)
        answer, fds = spoiled
        return numbered(answer.build(), int.from_bytes(data[4:8], "little")), fds

    def spoil(self, question: Any, data: bytes) -> tuple[Answer, tuple[PassedFd, ...]] | None:
        return None

    def noise(self, data: bytes) -> tuple[Answer, tuple[PassedFd, ...]] | None:
        return None

    def really(self, data: bytes) -> tuple[Answer, tuple[PassedFd, ...]]:
        answer, fds = Renderer.handle(self, data)
        return Answer.parse(answer), fds


def _question(data: bytes) -> Question | None:
    try:
        return parse_question(data)
    except ValueError:
        return None


OK = Answer(), ()


class ForgetsSerial(Broken):
    def handle(self, data: bytes, now: float = 0.0) -> Reply:
        answer, fds = super().handle(data, now)
        return numbered(answer, 0), fds


class AnswersHalf(Broken):
    def handle(self, data: bytes, now: float = 0.0) -> Reply:
        answer, fds = super().handle(data, now)
        return answer[:12], fds


class TakesNoise(Broken):
    def noise(self, data: bytes) -> Any:
        return OK


class Raises(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.CTX_DETACH and question.ctx_id == 1:
            raise KeyError(1)


class RefusesWithDescriptor(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.EXPORT_BLOB and question.resource_id not in self.resources:
            return Answer(errno=EINVAL), (PassedFd(Fd(3), Memory.memfd(4096, "surplus")),)
        return None


class ContextZero(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        return OK if question.op == Op.CTX_CREATE and question.ctx_id == 0 else None


class ContextTwice(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        return OK if question.op == Op.CTX_CREATE and question.ctx_id in self.contexts else None


class AnyContext(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        return OK if question.op == Op.CTX_DESTROY and question.ctx_id not in self.contexts else None


class AnyResource(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        return OK if question.op == Op.UNREF and question.resource_id not in self.resources else None


class WithoutObject(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        unknown = question.op == Op.CREATE_BLOB and question.ctx_id == 1 and question.blob_id == 77
        return OK if unknown and question.ctx_id in self.contexts else None


class BeyondObject(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.CREATE_BLOB and question.size > 8192:
            return self.really(replace(question, size=8192).build())
        return None


class TwoOwners(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        context = self.contexts.get(ContextId(1))
        if question.op != Op.CREATE_BLOB or context is None or BlobId(question.blob_id) not in context.objects:
            return None
        copy = self.process.install(self.process.file(context.objects[BlobId(question.blob_id)]))
        answer = self.really(data)
        context.objects[BlobId(question.blob_id)] = copy
        return answer


class ReplacesResource(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.CREATE_BLOB and ResourceId(question.resource_id) in self.resources:
            self.process.close(self.resources.pop(ResourceId(question.resource_id)))


class DiesWithContext(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.CTX_DESTROY and question.ctx_id in self.contexts:
            for resource_id in list(self.resources):
                self.process.close(self.resources.pop(resource_id))


class LiesAboutSize(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.EXPORT_BLOB and question.resource_id in self.resources:
            answer, fds = self.really(data)
            return replace(answer, value=answer.value + 4096), fds
        return None


class Copies(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.EXPORT_BLOB and question.resource_id in self.resources:
            answer, (passed,) = self.really(data)
            copy = Memory.memfd(passed.memory.size, "a copy")
            passed.memory.release()
            return answer, (PassedFd(passed.fd, copy),)
        return None


class ClosesWithResource(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.UNREF and question.resource_id in self.resources:
            self.vmm.exit()


class ClosesTwice(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        return OK if question.op == Op.CLOSE and question.fd not in self.vmm.files else None


class AnyIoctl(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.IOCTL and question.request == 0xC0DE:
            return Answer(size=question.size, data=bytes(question.argument)), ()
        return None


class ShortInfo(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.IOCTL and question.size == 16:
            return Answer(size=8, data=question.argument[:8]), ()
        return None


class NoMapInfo(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.GET_MAP_INFO and question.resource_id in self.resources:
            return Answer(value=MapCache.NONE.value), ()
        return None


class ResetClosesAll(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.RESET:
            self.vmm.exit()


class ResetKeepsResources(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.RESET:
            self.contexts.clear()
            return OK
        return None


class WithRings(Broken):
    rings_kind: type[Rings] = Rings

    def __init__(self) -> None:
        super().__init__()
        self.rings = self.rings_kind()


class _AlwaysPending(Rings):
    def fence(self, fence: Any, now: float) -> bool:
        super().work((fence.ctx_id, fence.ring_idx), 1e-9, now)
        return super().fence(fence, now)


class _Early(Rings):
    def due(self, now: float) -> list[Signal]:
        return super().due(now + 0.001)


class _Twice(Rings):
    def due(self, now: float) -> list[Signal]:
        return [each for signal in super().due(now) for each in (signal, signal)]


class _Backwards(Rings):
    def due(self, now: float) -> list[Signal]:
        return super().due(now)[::-1]


class _OneRing(Rings):
    def work(self, ring: Any, seconds: float, now: float) -> None:
        for index in range(4):
            super().work((ring[0], index), seconds, now)


class _Anonymous(Rings):
    def due(self, now: float) -> list[Signal]:
        return [replace(signal, ring_idx=0) for signal in super().due(now)]


def with_rings(kind: type[Rings]) -> type[Broken]:
    return type(kind.__name__, (WithRings,), {"rings_kind": kind})


class ResetKeepsFences(Broken):
    def spoil(self, question: Any, data: bytes) -> Any:
        if question.op == Op.RESET:
            kept = self.rings
            answer = self.really(data)
            self.rings = kept
            return answer
        return None


#: the defect -> words of the rule that it breaks
DEFECTS: dict[type[Broken], str] = {
    ForgetsSerial: "one answer, with its serial",
    AnswersHalf: "one answer, with its serial",
    TakesNoise: "get EPROTO",
    Raises: "whatever is asked is answered",
    RefusesWithDescriptor: "carries no descriptors",
    ContextZero: "a context id is used once",
    ContextTwice: "a context id is used once",
    AnyContext: "a context that there is not",
    AnyResource: "a resource that there is not",
    WithoutObject: "made of an object",
    BeyondObject: "large enough",
    TwoOwners: "becomes one blob",
    ReplacesResource: "a resource id is used once",
    DiesWithContext: "outlives its context",
    LiesAboutSize: "says its size",
    Copies: "the same memory",
    ClosesWithResource: "as long as a descriptor",
    ClosesTwice: "is closed once",
    AnyIoctl: "ENOTTY",
    ShortInfo: "gives its structure back",
    NoMapInfo: "CACHED, UNCACHED or WC",
    ResetClosesAll: "not the VMM's descriptors",
    ResetKeepsResources: "a reset ends contexts",
    with_rings(_AlwaysPending): "nothing to wait for",
    with_rings(_Early): "signalled once, when",
    with_rings(_Twice): "signalled once",
    with_rings(_Backwards): "in their order",
    with_rings(_OneRing): "do not wait for each other",
    with_rings(_Anonymous): "names the fence's",
    ResetKeepsFences: "after a reset no fence",
}


@pytest.mark.parametrize("dialect", [None, *Dialect])
@pytest.mark.parametrize("guess", MapCache)
def test_our_renderer_passes(dialect: Dialect | None, guess: MapCache) -> None:
    check_renderer(lambda: Renderer(Kernel(dialect), guess=guess))


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_defect_breaks_its_rule(defect: Callable[[], Broken]) -> None:
    with pytest.raises(AssertionError) as broken:
        check_renderer(defect)
    assert DEFECTS[defect] in str(broken.value), str(broken.value)  # type: ignore[index]
    assert str(broken.value).startswith("renderer: ")


def test_every_rule_is_broken_by_a_defect() -> None:
    for rule in (*RULES, *PENDING):
        assert any(words in rule.says for words in DEFECTS.values()), rule.says


def test_renderer_without_work_is_not_asked_about_pending_fences() -> None:
    check_renderer(with_rings(_Backwards), works=None)
