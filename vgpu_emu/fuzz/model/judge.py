"""The reference at work: what is expected of a request, and what was wrong with its answer.

A `Judge` looks at what crosses the queues, and follows the device where the protocol leaves it a choice.
"""

from collections import Counter, defaultdict
from functools import lru_cache
from typing import Any
from zlib import crc32

from vgpu_emu.fuzz.model.case import Case, Covered, Finding
from vgpu_emu.fuzz.model.commands import COMMANDS
from vgpu_emu.fuzz.model.expectation import Expected, Verdict, expected, nothing, refuse
from vgpu_emu.fuzz.model.world import GLOBAL, Pending, World
from vgpu_wire.control import FIRST_ERROR, RING_COUNT, CtrlFlag, CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.errors import WireError
from vgpu_wire.messages import MESSAGES, OK_RESPONSE, type_name

_FENCE, _RING = CtrlFlag.FENCE.value, CtrlFlag.INFO_RING_IDX.value
_HEADER = CtrlHdr.layout.size
#: where the low byte of the flags is: most requests have none, and their headers are not parsed for that
_FLAGS_AT = 4
_OK, _NO_MEMORY = CtrlType.RESP_OK_NODATA.value, CtrlType.RESP_ERR_OUT_OF_MEMORY.value
_OK_OF = {number: OK_RESPONSE.get(number, CtrlType.RESP_OK_NODATA).value for number in COMMANDS}
_ERRORS = frozenset(number.value for number in CtrlType if number >= FIRST_ERROR)
#: why a fenced request may be refused that is right by itself
TOO_MANY_FENCES = "too many fences"
_LOST = Expected(Verdict.OPEN, "nobody knows what the device has")


class Judge:
    """world: the device as it must be. evaluated: how often each oracle, or all of several together, were asked.

    case: the request that the device has now. unsure: it was left open what became of a request, and its answer has
    not been seen: from then on the world is not known.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        # no Counter: to count one thing costs it twice as much
        self.evaluated: defaultdict[str | tuple[str, ...], int] = defaultdict(int)
        #: (request, why it is not plainly right, answer): what has been seen
        self.covered: set[Covered] = set()
        self.unsure = self.lost = False
        #: of all answers; what happens at the same time may happen in any order
        self.digest = 0
        self.case: Case | None = None
        self._open: dict[tuple[int, int], Case] = {}
        #: timeline -> the highest fence of it that was in an answer: to Linux, all up to it are signalled
        self.signalled: dict[tuple[int, int], int] = {}

    # -- requests

    def request(self, head: int, queue: int, data: bytes, capacity: int) -> Case:
        """Before the device has it."""
        number = int.from_bytes(data[:4], "little")
        case = Case(head, queue, capacity, number, expected(self._expected, queue, number, data), lenient=self.lost)
        if len(data) >= _HEADER and data[_FLAGS_AT] & _FENCE:
            header = CtrlHdr.parse(data[:_HEADER])
            case.fence_id, case.ring_idx = header.fence_id, header.ring_idx
            case.timeline = (header.ctx_id, header.ring_idx) if header.flags & _RING else GLOBAL
        self._open[queue, head] = self.case = case
        return case

    def _expected(self, queue: int, number: int, data: bytes) -> Expected:
        if self.lost:
            return _LOST
        command = COMMANDS.get(number)
        refuse(len(data) < _HEADER, "less than a header")
        if command is None or command.queue != queue:
            return Expected(Verdict.REFUSE, "no command of this queue", "I5")
        feature = command.feature
        if feature is not None:
            self.evaluated["I35"] += 1
            refuse(not self.world.has(feature), "its feature was not negotiated", "I35")
        try:
            request = MESSAGES[number].parse(data)
        except WireError as error:
            if error.kind != "trailing":
                return Expected(Verdict.REFUSE, "the request is cut short", "I17")
            request = MESSAGES[number].parse(data[: error.offset])
        self.evaluated["I5"] += 1
        if not data.startswith(built := request.build()):
            raise Finding("I5", f"{type_name(number)} is {built.hex()} when it is built again")
        if flags := request.flags:
            refuse(flags & _RING and request.ring_idx >= RING_COUNT, "ring_idx is not 0..63")
            refuse(flags & _FENCE and len(self.world.pending) >= self.world.setup.fences, TOO_MANY_FENCES, "I29")
        return command.find(self.world, request)

    def forget(self) -> None:
        """The device was reset: nothing that was due is answered."""
        self._open.clear()
        self.signalled.clear()
        self.unsure = self.lost = False

    def lose_track(self) -> None:
        """Something went wrong that the reference has no model of. Until the device is reset, what is held against it
        is that it answers, each request once, in the form that every answer has."""
        self.unsure = self.lost = True
        for case in self._open.values():
            case.expected, case.lenient = _LOST, True
        # nor when it answers, and in which order
        self.world.pending.clear()

    @property
    def unanswered_cases(self) -> list[Case]:
        """What the device has and has not answered, oldest first."""
        return list(self._open.values())

    @property
    def asked(self) -> Counter[str]:
        """How often each oracle was asked."""
        total: defaultdict[str, int] = defaultdict(int)
        for oracles, count in self.evaluated.items():
            for oracle in (oracles,) if isinstance(oracles, str) else oracles:
                total[oracle] += count
        return Counter(total)

    # -- answers

    @property
    def heard_at(self) -> float:
        """When the answer came that is looked at."""
        return self.world.now

    def unanswered(self, case: Case) -> None:
        """The device has taken the request and says nothing yet."""
        self.evaluated["I19"] += 1
        if self.unsure:
            return
        verdict = Verdict.REFUSE if case.broken else Verdict.OPEN if case.lenient else case.expected.verdict
        if verdict is Verdict.MUST:
            case.expected.success(None)
        self.unsure = verdict is Verdict.OPEN and _changes(case)
        due = max(self.world.now, self.world.due(case.timeline))
        if case.fence_id is None:
            raise Finding("I19", f"{case} was not answered")
        firm = all(other.firm for other in self.world.pending if other.timeline == case.timeline)
        works = self.world.works(case.timeline)
        self.world.pending.append(Pending(case.head, case.queue, case.timeline, due, firm, case.fence_id, works))

    def answer(self, head: int, queue: int, written: bytes) -> None:
        """A chain comes back. Raises Finding."""
        case = self._open.pop((queue, head), None)
        if case is None:
            raise Finding("I19", f"chain {head} was answered, and is not with the device")
        if self.unsure and not self.lost:
            return
        self.evaluated[_OF_EVERY_ANSWER] += 1
        self.digest = (self.digest + crc32(written, head)) % (1 << 32)
        if len(written) > case.capacity:
            raise Finding("I17", f"{case}: {len(written)} bytes for {case.capacity}")
        pending = self._taken_back(case) if self.world.pending else None
        if len(written) < _HEADER:
            self._unseen(case, written, pending)
            return
        header = _header(bytes(written[:_HEADER]))
        number = case.number if case.number in COMMANDS else 0
        self.covered.add((number, case.broken or case.expected.why, self._state(case), header.type))
        self.evaluated[case.expected.oracle] += 1
        self._typed(case, header)
        if case.fence_id is not None:
            self._fenced(case, case.fence_id, header)
        elif header.flags & _FENCE:
            raise Finding("I20", f"{case} was not fenced, its answer is")
        answer = self._whole(case, header, written)
        if header.type < FIRST_ERROR:
            self._succeeded(case, answer, pending)
        elif pending is not None:
            self.world.pending.remove(pending)

    def _state(self, case: Case) -> int:
        """Of the device, in which the request comes: how much is alive and mapped, and whether fences wait."""
        world = self.world
        alive, waiting = len(world.resources), len(world.pending)
        # min() takes as long as all the rest
        return (alive if alive < 3 else 3) * 6 + (waiting if waiting < 2 else 2) * 2 + (case.fence_id is not None)

    def _taken_back(self, case: Case) -> Pending | None:
        for pending in self.world.pending:
            if pending.head == case.head and pending.queue == case.queue:
                return pending
        return None

    def _unseen(self, case: Case, written: bytes, pending: Pending | None) -> None:
        """The driver gave too little room to see what was answered."""
        if written and len(written) < min(_HEADER, case.capacity):
            raise Finding("I17", f"{case}: {len(written)} of {case.capacity} bytes")
        if pending is not None:
            self.world.pending.remove(pending)
        elif case.expected.verdict is Verdict.MUST and not case.lenient:
            case.expected.success(None)
        elif case.expected.verdict is not Verdict.REFUSE and not case.broken and _changes(case):
            self.unsure = True

    def _typed(self, case: Case, header: CtrlHdr) -> None:
        verdict, number = case.expected.verdict, header.type
        if number == _OK_OF.get(case.number, _OK):
            if case.broken:
                raise Finding("I26", f"{case} succeeded, although {case.broken}")
            if verdict is Verdict.REFUSE:
                raise Finding(case.expected.oracle, f"{case} succeeded: {case.expected.why}")
        elif number not in _ERRORS:
            raise Finding("I7", f"{case} was answered {type_name(number)}")
        elif verdict is Verdict.MUST and not case.lenient and not (number == _NO_MEMORY and case.expected.large):
            raise Finding("I7", f"{case} was answered {type_name(number)}, and is right")

    def _fenced(self, case: Case, fence_id: int, header: CtrlHdr) -> None:
        if not header.flags & _FENCE or header.fence_id != fence_id:
            raise Finding("I20", f"{case}: fence {fence_id} is not in the answer {type_name(header.type)}")
        if header.flags & _RING and header.ring_idx != case.ring_idx:
            raise Finding("I20", f"{case}: ring {header.ring_idx}, not {case.ring_idx}")
        self.signalled[case.timeline] = max(fence_id, self.signalled.get(case.timeline, 0))

    def _whole(self, case: Case, header: CtrlHdr, written: bytes) -> Any:
        """The answer as a record; None: the driver gave it too little room."""
        if header.hdr_padding != b"\0\0\0":
            raise Finding("I18", f"{case}: the padding of the header is {header.hdr_padding!r}")
        structure = MESSAGES[header.type]
        if structure is HeaderOnly and len(written) == _HEADER:
            return header
        if structure.layout.tail is not None and len(written) == case.capacity:
            return None
        try:
            return _parsed(structure, bytes(written))
        except WireError as error:
            if error.kind == "truncated" and len(written) == case.capacity:
                return None
            raise Finding("I18", f"{case}: {error}") from None

    def _succeeded(self, case: Case, answer: Any, pending: Pending | None) -> None:
        wrong = case.expected.payload(answer) if answer is not None and not case.lenient else None
        if wrong is not None:
            raise Finding(case.expected.oracle, f"{case}: {wrong}")
        # what it chose when the host failed, nobody has seen
        self.unsure |= case.lenient and answer is None
        world = self.world
        if pending is None:
            case.expected.success(answer)
            due = world.due(case.timeline) if case.fence_id is not None else 0.0
        else:
            due = pending.earliest
        if due > self.heard_at and not case.lenient:
            early = due - self.heard_at
            raise Finding("I21", f"{case}: fence {case.fence_id} came {early:g} s before its work was done")
        if world.pending:
            self._in_order(case)

    def _in_order(self, case: Case) -> None:
        """On a ring, a fence stands for all before it."""
        pending = self.world.pending
        for other in list(pending):
            if (other.head, other.queue) == (case.head, case.queue):
                pending.remove(other)
                return
            if case.fence_id is not None and other.timeline == case.timeline != GLOBAL:
                raise Finding("I21", f"{case}: fence {case.fence_id} came before one that was made earlier")

    def advanced(self) -> None:
        """Time has passed, and all that the device had to say was heard. Raises Finding."""
        if self.unsure:
            # answers are not looked at any more
            return
        self.evaluated["I19"] += 1
        for pending in self.world.pending:
            if self.world.latest(pending) <= self.world.now:
                raise Finding("I19", f"chain {pending.head} is not answered, its work was done at {pending.due:g} s")


def _changes(case: Case) -> bool:
    """Whether what the device has depends on the answer."""
    return case.lenient or case.expected.success is not nothing


@lru_cache
def _header(start: bytes) -> CtrlHdr:
    """Most answers start as all others do that have no fence."""
    return CtrlHdr.parse(start)


@lru_cache
def _parsed(structure: type[CtrlHdr], written: bytes) -> CtrlHdr:
    """Most answers are one of a few: what the displays are, their EDIDs. Raises WireError."""
    return structure.parse(written)


#: what is looked at in every answer
_OF_EVERY_ANSWER = ("I7", "I17", "I18", "I19", "I20", "I21", "I22")
