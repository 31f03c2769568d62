"""Short ways to ask a host what a VMM asks: for `check_renderer`."""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from vgpu_emu.host.interface import Host
from vgpu_emu.memory import PAGE_SIZE, PassedFd
from vgpu_emu.testing.rules import fail, unless
from vgpu_wire.blob import BlobFlag, BlobMem
from vgpu_wire.errors import WireError
from vgpu_wire.renderer_link import (
    Answer,
    Close,
    ContextQuestion,
    CreateBlob,
    Fence,
    Ioctl,
    Op,
    Question,
    ResourceQuestion,
    Submit,
    numbered,
)

#: bytes of an object
SIZE = 2 * PAGE_SIZE


class Streams(NamedTuple):
    """What the renderer's command streams look like. allocates: blob_id, bytes. works: microseconds."""

    allocates: Callable[[int, int], bytes]
    works: Callable[[int], bytes]


class Talk:
    """A host, and the VMM that asks it. Its ways to ask raise AssertionError for an answer that is none."""

    def __init__(self, host: Host, streams: Streams) -> None:
        self.host = host
        self._streams = streams
        self._fds: list[PassedFd] = []
        self._serial = 1000

    def close(self) -> None:
        """The end of both: nothing of theirs is left open."""
        for passed in self._fds:
            passed.memory.release()
            # one that was closed already is refused, and a broken host may do anything
            with suppress(Exception):
                self.host.handle(Close(fd=passed.fd).build())
        with suppress(Exception):
            self.host.die()

    def exchange(self, data: bytes, serial: int | None = None) -> tuple[Answer, tuple[PassedFd, ...]]:
        """The answer to these bytes, whatever they are."""
        if serial is not None:
            data = numbered(data, serial)
        written, fds = self.host.handle(data)
        self._fds += fds
        try:
            return Answer.parse(written), fds
        except WireError as error:
            fail(f"the answer to {data[:16].hex()} is none: {error}")

    def ask(self, question: Question) -> tuple[Answer, tuple[PassedFd, ...]]:
        self._serial += 1
        return self.exchange(question.build(), self._serial)

    def done(self, question: Question) -> Answer:
        """A question that must not be refused."""
        answer, _ = self.ask(question)
        unless(not answer.errno, f"{Op(question.op).name} was refused with errno {answer.errno}")
        return answer

    def refused(self, question: Question, otherwise: str) -> None:
        answer, _ = self.ask(question)
        unless(answer.errno, otherwise)

    def context(self) -> None:
        self.done(ContextQuestion(op=Op.CTX_CREATE.value, ctx_id=1))

    def allocate(self, blob_id: int) -> None:
        self._submit(self._streams.allocates(blob_id, SIZE))

    def work(self, microseconds: int, ring_idx: int = 0) -> None:
        self._submit(self._streams.works(microseconds), ring_idx)

    def _submit(self, stream: bytes, ring_idx: int = 0) -> None:
        self.done(Submit(ctx_id=1, ring_idx=ring_idx, size=len(stream), commands=stream))

    @staticmethod
    def creation(resource_id: int, *, blob_id: int = 5, size: int = SIZE, ctx_id: int = 1) -> CreateBlob:
        return CreateBlob(
            ctx_id=ctx_id,
            resource_id=resource_id,
            blob_mem=BlobMem.HOST3D.value,
            blob_flags=BlobFlag.USE_MAPPABLE.value,
            blob_id=blob_id,
            size=size,
        )

    def blob(self) -> int:
        """Context 1, an object 5 and a resource 5 made of it."""
        self.context()
        self.allocate(5)
        self.done(self.creation(5))
        return 5

    def export(self, resource_id: int) -> PassedFd:
        answer, fds = self.ask(ResourceQuestion(op=Op.EXPORT_BLOB.value, resource_id=resource_id))
        unless(not answer.errno and fds, f"EXPORT_BLOB gave errno {answer.errno} and {len(fds)} descriptors")
        return fds[0]

    def ioctl(self, fd: int, request: int, argument: bytes) -> Answer:
        return self.ask(Ioctl(fd=fd, request=request, size=len(argument), argument=argument))[0]

    def close_errno(self, fd: int) -> int:
        return self.ask(Close(fd=fd))[0].errno

    def shut(self, fd: int) -> None:
        errno = self.close_errno(fd)
        unless(not errno, f"close of descriptor {fd} was refused with errno {errno}")

    def fence(self, fence_id: int, ring_idx: int = 0) -> bool:
        """Whether it is pending."""
        answer = self.done(Fence(ctx_id=1, ring_idx=ring_idx, fence_id=fence_id))
        unless(answer.value in {0, 1}, f"value {answer.value} is neither pending nor complete")
        return bool(answer.value)
