"""Programs that know what is alive: each step is chosen when the ones before it have been carried out.

A swarm decides for a whole program which commands there are, and how often, how many ids are in use, how often
something is bent: programs that do little of everything find little.
"""

from random import Random

from vgpu_emu.faults.drawing import draw
from vgpu_emu.faults.plan import FAULTS, DeviceResets, VmmRestarts
from vgpu_emu.fuzz import requests
from vgpu_emu.fuzz.actions import Break, Plug, Reset, Restart, Schedule, Send, Step
from vgpu_emu.fuzz.bench import Bench
from vgpu_emu.fuzz.boundary import bent
from vgpu_emu.fuzz.calling import Calling
from vgpu_emu.fuzz.happening import Happenings
from vgpu_emu.fuzz.model.commands import COMMANDS
from vgpu_emu.fuzz.model.setup import Asks, Setup, displays
from vgpu_emu.fuzz.model.world import World
from vgpu_emu.fuzz.requests_choices import Ids, Maker
from vgpu_emu.fuzz.using import Use, again, of_displays, uses
from vgpu_wire.control import CtrlFlag
from vgpu_wire.device import CONTROLQ, CURSORQ, Feature

_FENCED, _RING = CtrlFlag.FENCE.value, int(CtrlFlag.FENCE | CtrlFlag.INFO_RING_IDX)
_COMMANDS = tuple(COMMANDS)
#: combinations that a driver can negotiate, the whole one most often
_FEATURES = (0x3F,) * 12 + (0x1F, 0x0F, 0x2F, 0x1B, 0x0E, 0x08, 0x02, 0x00)
#: displays: two, and now and then one, some, or as many as there can be
_DISPLAYS = (2,) * 9 + (1, 4, 16)
#: a driver that other drivers' memory is imported into
_WITHOUT_VIRGL = (0x0E, 0x2E, 0x0A)
#: faults that a program does not do itself, in steps of its own
_WEATHER = [kind for kind in FAULTS if kind not in (VmmRestarts, DeviceResets)]

#: requests that use what is there, before something else is done
_MOST_USES = 16
#: how often a transfer is done once more, of other bytes
_AGAIN = 0.1
#: how far ids lie apart
_STEPS = (1, 1, 1, 1, 1 << 8, 1 << 16, 1 << 26)
#: blobs that are mapped at first, and steps for it: what one mapping does to another takes some
_OPENINGS = ((0, 0),) * 8 + ((2, 8), (3, 10), (3, 12), (5, 18))
_RINGS = ((0,), (0, 1), (0, 1, 2), (0, 1, 32, 63), (1, 33))
#: bits of the largest fence_id: one that fits into fewer may be another's
_FENCE_BITS = (3, 20, 40, 64)

#: bytes of the longest command stream
_STREAMS = (1 << 10, 1 << 10, 1 << 14)
#: bytes of guest memory for a driver: its kernel's, and 32 pages
_RAM = 1 << 18


def setup(rng: Random, *, real: bool) -> Setup:
    asks = rng.choice((Asks.RFC1, Asks.RFC3, Asks.GUESS))
    alignment = rng.choice((4096, 4096, 4096, 4096, 0, 0, 16384, 65536))
    return Setup(
        scanouts=displays(rng.choice(_DISPLAYS)),
        features=rng.choice(_FEATURES if not real or rng.random() < 0.8 else _WITHOUT_VIRGL),
        asks=asks,
        guess=rng.choice((1, 2, 3, 3, 0)) if asks is Asks.GUESS else 1,
        host_visible=rng.choice((1 << 20, 1 << 16, 1 << 16, 1 << 15)) if alignment < 1 << 14 else 1 << 20,
        blob_alignment=alignment,
        submit_bytes=rng.choice(_STREAMS),
        real=real,
        memory=_RAM if real else 1 << 16,
    )


class Swarm:
    """What one program is like. rng: where all its choices come from."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        #: a guest program's calls, or requests that no driver sends
        self.calls = rng.random() < 0.3
        self.setup = setup(rng, real=self.calls)
        self.ids = Ids(rng.choice((2, 4, 8, 24)), rng.choice(_STEPS))
        #: rings of fences: few, so that several fences wait on one
        self.rings = rng.choice(_RINGS)
        #: how often what is missing is made first
        self.purpose = rng.choice((0.0, 0.7, 0.95))
        self.bend = rng.choice((0.0, 0.02, 0.1, 0.3))
        self.fence = rng.choice((0.0, 0.2, 0.6))
        self.small = rng.choice((0.0, 0.0, 0.1))
        self._makers = [maker for maker in self._commands() for _ in range(rng.choice((1, 1, 2, 4)))]
        self._happens = Happenings(rng)
        #: how often all that is there is used, in the middle of everything else
        self._using = rng.choice((0.0, 0.02, 0.1))
        self._uses: list[Use] = []
        #: what is done next, the last first
        self._later: list[Step] = []
        #: how many blobs are mapped before anything else is done, and in how many steps that must be
        self._full, self._opening = rng.choice(_OPENINGS) if self.setup.has(Feature.RESOURCE_BLOB) else (0, 0)
        self._call = Calling(rng, self.purpose, virgl=self.setup.has(Feature.VIRGL))

    def _commands(self) -> list[Maker]:
        """All; some, and those that they need; or those of one or two subjects, and few others."""
        rng, makers = self.rng, list(requests.MAKERS)
        choice = rng.random()
        if choice < 0.15:
            return makers
        if choice < 0.4:
            makers = rng.sample(makers, rng.randint(4, 14))
            return makers + [maker for need in makers for maker in requests.NEEDS.get(need, ())]
        self.purpose = 0.9
        themes = rng.sample(requests.THEMES, rng.choice((1, 1, 2)))
        return [maker for theme in themes for maker in theme] + rng.sample(makers, rng.choice((0, 2, 3)))

    def weather(self) -> list[Step]:
        """For targets that have links and tasks: in which order these run, and what goes wrong on the way."""
        rng = self.rng
        number = rng.choice((0, 0, 0, 1, 1, 2, 3))
        return [Schedule(rng.randrange(1 << 16)), *map(Break, draw(rng, number, _WEATHER))]

    def step(self, bench: Bench) -> Step:
        """What to do next, in the state that `bench` is in."""
        rng, world = self.rng, bench.world
        if self._later:
            return self._later.pop()
        if self._uses and (data := self._use(world)):
            return Send(self._fenced(data, world) if rng.random() < self.fence else data)
        if rng.random() < self._happens.share:
            return self._other(world)
        if self.calls:
            return self._call(bench.guest)
        if self._opening and len(world.mapped) < self._full:
            self._opening -= 1
            return Send(*requests.make(requests.to_map(world), rng, world, self.ids))
        if rng.random() < self._using:
            self._uses = uses(world, rng)[:_MOST_USES]
        maker = self._makers[int(rng.random() * len(self._makers))]
        if rng.random() < self.purpose:
            maker = requests.towards(maker, world)
        data, queue = requests.make(maker, rng, world, self.ids)
        capacity = 0 if queue == CURSORQ and rng.random() < 0.5 else 2048
        if rng.random() < self.fence:
            data = self._fenced(data, world)
        if rng.random() < self.bend:
            data = bent(data, rng)
        elif rng.random() < _AGAIN:
            self._later = again(data, world, rng)
        if rng.random() < self.small:
            capacity = rng.choice((0, 1, 23, 24, 25, 31, 32, 40, 408))
        if rng.random() < self.bend / 8:
            data = data[: rng.randrange(len(data) + 1)] if rng.random() < 0.7 else data + rng.randbytes(8)
        if rng.random() < self.bend / 8:
            data, queue = self._misdirected(data, queue)
        return Send(data, queue, capacity)

    def _use(self, world: World) -> bytes:
        """The next one that there still is; empty: there is none."""
        while self._uses:
            request = self._uses.pop()(world)
            if request is not None:
                return request.build()
        return b""

    def _other(self, world: World) -> Step:
        step = self._happens(world)
        if self.calls:
            return step
        if isinstance(step, Restart | Reset) and self._using:
            self._uses = uses(world, self.rng)[:_MOST_USES]
        elif isinstance(step, Plug) and self.rng.random() < 0.5:
            # what a driver does when it is told
            self._uses = list(of_displays(world))
        return step

    def _misdirected(self, data: bytes, queue: int) -> tuple[bytes, int]:
        """Another command's request, no command's, or one on the queue where it is none."""
        choice = self.rng.random()
        if choice < 0.4:
            return data, CONTROLQ if queue == CURSORQ else CURSORQ
        number = self.rng.choice(_COMMANDS) if choice < 0.8 else self.rng.getrandbits(16)
        return number.to_bytes(4, "little") + data[4:], queue

    def _fenced(self, data: bytes, world: World) -> bytes:
        """The same request with a fence, on a ring or not."""
        rng = self.rng
        ring = rng.random() < 0.6
        flags = _RING if ring else _FENCED
        fence_id = rng.randrange(1, 1 << rng.choice(_FENCE_BITS))
        head = flags.to_bytes(4, "little") + fence_id.to_bytes(8, "little")
        ring_idx = rng.choice(self.rings) if ring else 0
        return data[:4] + head + self._timeline(data, world) + bytes([ring_idx]) + data[21:]

    def _timeline(self, data: bytes, world: World) -> bytes:
        """ctx_id, which only counts for the fence where the command has no use for it."""
        owners = list(world.contexts)
        if any(data[16:20]) or not owners or self.rng.random() < 0.3:
            return data[16:20]
        return self.rng.choice(owners).to_bytes(4, "little")
