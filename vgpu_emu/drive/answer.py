"""What became of a request, comparable: on a device that is not ours, and on ours under a profile."""

import msgspec

from vgpu_wire.control import CtrlFlag, CtrlHdr
from vgpu_wire.messages import type_name

#: instead of a response type
NO_BYTES, NO_ANSWER, DIED = "no bytes", "no answer", "died"
_HEADER = CtrlHdr.layout.size
_FENCE = CtrlFlag.FENCE.value


class Answer(msgspec.Struct, frozen=True):
    """word: the response type's name; ``no bytes``: completed with a used length of 0; ``no answer``; ``died``.

    flags, fence_id, ctx_id, ring_idx: the header's, of the answer to a fenced request. length: bytes that were written.
    blocked: what before it failed, and how; the request came to a device in another state then.
    """

    word: str
    flags: int = 0
    fence_id: int = 0
    ctx_id: int = 0
    ring_idx: int = 0
    length: int = 0
    blocked: str = ""

    @property
    def fence(self) -> tuple[int, int, int, int]:
        return self.flags, self.fence_id, self.ctx_id, self.ring_idx

    def __str__(self) -> str:
        fence = f" flags {self.flags:#x} fence_id {self.fence_id}" if self.flags else ""
        return f"{self.word}{fence}" + (f", after {self.blocked}" if self.blocked else "")

    def is_like(self, other: "Answer") -> bool:
        """The same to a driver: type and fence."""
        return self.word == other.word and self.fence == other.fence and self.blocked == other.blocked


def answer_of(written: bytes, blocked: str = "") -> Answer:
    """What these bytes of an answer say."""
    if len(written) < _HEADER:
        word = NO_BYTES if not written else f"{len(written)} bytes"
        return Answer(word, length=len(written), blocked=blocked)
    header = CtrlHdr.parse(written[:_HEADER])
    fence = (header.flags, header.fence_id, header.ctx_id, header.ring_idx) if header.flags & _FENCE else (0, 0, 0, 0)
    return Answer(type_name(header.type), *fence, len(written), blocked)


def is_error(answer: Answer) -> bool:
    return answer.word.startswith("RESP_ERR") or answer.word in {NO_ANSWER, DIED}
