"""What a step was seen to do: what its call gave back, and what happened meanwhile."""

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

import msgspec

from vgpu_emu.scenario.answers import Exchange, exchanges, last_exchange, message
from vgpu_emu.trace.ladder import line, rungs
from vgpu_emu.trace.log import VMM, Event, Note
from vgpu_wire.control import CtrlFlag, CtrlHdr
from vgpu_wire.layout import to_fields
from vgpu_wire.messages import type_name

#: notes of the VMM about a rule -> where in them it is
_RULE_OF = {"refused": "rule", "ignored": "rule", "device_dead": "at"}


class Given(msgspec.Struct, kw_only=True):
    """What a step's call gave back.

    named: what `as` names from now on. value: for ``expect.value``. data: bytes that were read. resource_id: the
    resource that the step was about. head: the chain of a raw message.
    """

    named: Any = None
    value: Any = None
    data: bytes | None = None
    pgprot: str | None = None
    resource_id: int | None = None
    head: int | None = None


class Seen(msgspec.Struct, kw_only=True):
    """events: all of the run so far; those from `start` on are the step's. commands: the step's own."""

    events: Sequence[Event]
    start: int
    commands: Collection[int] = ()
    given: Given
    errno: str | None = None
    error: str = ""
    hangs: str | None = None
    seconds: float = 0.0
    device: str = "works"
    #: whether it is known which rules the VMM saw broken
    knows_rules: bool = True

    @property
    def value(self) -> Any:
        return self.given.value

    @property
    def data(self) -> bytes | None:
        return self.given.data

    @property
    def pgprot(self) -> str | None:
        return self.given.pgprot

    @property
    def own(self) -> Sequence[Event]:
        return self.events[self.start :]

    def exchange(self) -> Exchange | None:
        """The step's command and its answer. Of a call that is about a resource, the last such command, which an
        earlier step may have sent."""
        if self.given.head is not None:
            found = [each for each in exchanges(self.own) if each.request.head == self.given.head]
            return found[-1] if found else None
        whole = self.given.resource_id is not None
        return last_exchange(self.events if whole else self.own, self.commands, self.given.resource_id)

    def answer(self) -> CtrlHdr | None:
        exchange = self.exchange()
        return None if exchange is None or exchange.answer is None else message(exchange.answer.data)

    def response(self) -> str:
        exchange = self.exchange()
        if exchange is None or exchange.answer is None:
            return "nothing"
        data = exchange.answer.data
        return type_name(int.from_bytes(data[:4], "little")) if data else "nothing"

    def map_info(self) -> int | None:
        return getattr(self.answer(), "map_info", None)

    def fields(self) -> dict[str, Any]:
        answer = self.answer()
        return {} if answer is None else to_fields(answer)

    def fenced(self) -> bool:
        answer = self.answer()
        return answer is not None and bool(answer.flags & CtrlFlag.FENCE)

    def ring(self) -> int | None:
        answer = self.answer()
        return answer.ring_idx if answer is not None and answer.flags & CtrlFlag.INFO_RING_IDX else None

    def rules(self) -> list[str]:
        """The rules that the VMM saw broken in this step, or died of."""
        notes = (event for event in self.own if isinstance(event, Note) and event.who == VMM)
        return [note.values[_RULE_OF[note.name]] for note in notes if note.name in _RULE_OF]

    def ladder(self) -> list[str]:
        """The step's lines. An answer is told with what it answers, so the ladder starts with the run."""
        return [line(rung) for rung in islice(rungs(self.events), self.start, None)]
