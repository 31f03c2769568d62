"""Any mix of work, fences, errors and time: every answer comes at the moment that a plain model says, and once.

Time is counted in 64ths of a second, which floats hold exactly.
"""

from dataclasses import dataclass, field
from random import Random

from device_kit import Rig
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from vgpu_emu.drive.requests import FENCE, RING, submit
from vgpu_wire.context_stream import StreamWork
from vgpu_wire.control import CtrlHdr
from vgpu_wire.display import ResourceFlush
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CtxCreate
from vgpu_wire.resource import ResourceUnref

few = settings(max_examples=80, derandomize=True, database=None, deadline=None)
TICK = 1 / 64
MICROSECONDS = 15_625
#: (ctx_id, ring_idx); None: the global timeline
Timeline = tuple[int, int] | None
RINGS = [(1, 0), (1, 1), (1, 63), (2, 0)]


@dataclass
class Plain:
    """When each fence is done: when the work that it is behind is, and not before those that came before it."""

    now: int = 0
    busy_until: dict[tuple[int, int], int] = field(default_factory=dict)
    last_done: dict[Timeline, int] = field(default_factory=dict)
    #: fence_id -> the tick of its answer
    done: dict[int, int] = field(default_factory=dict)

    def work(self, ring: tuple[int, int], ticks: int) -> None:
        self.busy_until[ring] = max(self.now, self.busy_until.get(ring, 0)) + ticks

    def fence(self, timeline: Timeline, fence_id: int) -> None:
        before = self.busy_until.values() if timeline is None else [self.busy_until.get(timeline, 0)]
        self.done[fence_id] = max([self.now, self.last_done.get(timeline, 0), *before])
        self.last_done[timeline] = self.done[fence_id]


def fenced(request: CtrlHdr, timeline: Timeline, fence_id: int) -> CtrlHdr:
    ctx_id, ring_idx = timeline or (request.ctx_id, 0)
    flags = FENCE | (RING if timeline is not None else 0)
    return replace(request, flags=flags, fence_id=fence_id, ctx_id=ctx_id, ring_idx=ring_idx)


@few
@given(seed=st.integers(0, 2**32))
def test_every_fence_is_answered_once_and_at_its_time(seed: int) -> None:
    random, plain = Random(seed), Plain()
    answered: dict[int, tuple[int, Timeline]] = {}

    def note(answer: CtrlHdr) -> None:
        assert answer.fence_id not in answered, "twice"
        timeline = (answer.ctx_id, answer.ring_idx) if answer.flags & RING else None
        answered[answer.fence_id] = plain.now, timeline

    with Rig() as rig:
        rig.image(9, 1, 1)
        rig.ok(CtxCreate(ctx_id=1), CtxCreate(ctx_id=2))
        timelines: dict[int, Timeline] = {}
        for fence_id in range(40):
            timeline = random.choice([*RINGS, None])
            match random.randrange(5):
                case 0:
                    ticks = random.randint(1, 6)
                    plain.now += ticks
                    for used in rig.advance(ticks * TICK):
                        note(parse_message(used.written))
                    continue
                case 1 | 2:
                    # of a global fence, the work is on ring 0
                    ring = timeline or (random.choice([1, 2]), 0)
                    ticks = random.randint(0, 8)
                    plain.work(ring, ticks)
                    request: CtrlHdr = submit(ring[0], StreamWork(microseconds=ticks * MICROSECONDS))
                case 3:
                    request = ResourceFlush(resource_id=9)
                case _:
                    request = ResourceUnref(resource_id=404)
            plain.fence(timeline, fence_id)
            timelines[fence_id] = timeline
            answer = rig.send(fenced(request, timeline, fence_id))
            assert (answer is not None) == (plain.done[fence_id] <= plain.now)
            if answer is not None:
                note(answer)
        while len(answered) < len(plain.done):
            plain.now += 1
            assert plain.now < 10_000, "lost"
            for used in rig.advance(TICK):
                note(parse_message(used.written))
        assert rig.advance(1e6) == []
        assert rig.device.fences.count == 0
    for fence_id, (when, timeline) in answered.items():
        assert timeline == timelines[fence_id]
        assert when >= plain.done[fence_id], "early"
    _assert_not_late(plain, answered)


def _assert_not_late(plain: Plain, answered: dict[int, tuple[int, Timeline]]) -> None:
    """Nobody looks between two advances: an answer is on time if no earlier look came after its tick."""
    looks = sorted({when for when, _timeline in answered.values()})
    for fence_id, (when, _timeline) in answered.items():
        assert not [look for look in looks if plain.done[fence_id] <= look < when]
    for timeline in {timeline for _when, timeline in answered.values()}:
        order = [fence_id for fence_id, (_when, its) in answered.items() if its == timeline]
        assert order == sorted(order), "out of order"
