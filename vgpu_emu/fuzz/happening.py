"""What happens beside the guest's requests: time, stores to memory, hotplug, another VMM, failures, a reset."""

from collections.abc import Callable
from random import Random

from vgpu_emu.fuzz.actions import Elapse, Fail, Plug, Poke, Reset, Restart, Step
from vgpu_emu.fuzz.model.world import World
from vgpu_wire.device import Feature

#: errnos of a host that fails: EIO, ENOMEM, EMFILE, EINVAL, ENOTTY, EINTR, EFAULT
_ERRNOS = (5, 12, 24, 22, 25, 4, 14)
#: how often a driver that is bound knows every feature
_KNOWS_ALL = 0.7
_FEATURES = len(Feature)


def _elapse(rng: Random, world: World) -> Step:
    """Any time, or up to, and just around, when something is due."""
    dues = [when for when in (*world.busy.values(), *(p.due for p in world.pending)) if when > world.now]
    if not dues or rng.random() < 0.5:
        return Elapse(rng.choice((0, 1, 10, 100, 1000, 0x10000, 100_000, 1_000_000)))
    return Elapse(max(round((rng.choice(dues) - world.now) * 1e6) + rng.choice((-1, 0, 1)), 0))


def _poke(rng: Random, world: World) -> Step:
    return Poke(rng.randrange(world.setup.memory), rng.randbytes(rng.choice((1, 16, 256))))


def _plug(rng: Random, world: World) -> Step:
    width, height = rng.choice((0, 16, 640, 1920)), rng.choice((16, 480, 1080))
    return Plug(rng.randrange(len(world.scanouts)), width, height if width else 0)


def _restart(_rng: Random, _world: World) -> Step:
    return Restart()


def _fail(rng: Random, _world: World) -> Step:
    lose = rng.random() < 0.2
    errno = 0 if lose or rng.random() < 0.2 else rng.choice(_ERRNOS)
    return Fail(errno, rng.randrange(3), extra=1, lose=lose)


def _reset(rng: Random, world: World) -> Step:
    """The next driver knows all, which may be more again, or leaves out each feature in a few."""
    if rng.random() < _KNOWS_ALL:
        return Reset()
    return Reset.by(rng.getrandbits(_FEATURES) | rng.getrandbits(_FEATURES), world.setup)


#: what can happen -> how often: in the usual program, and in those where it is mostly one thing
_HAPPENINGS: dict[Callable[[Random, World], Step], tuple[int, ...]] = {
    _elapse: (45, 80, 10, 10, 10),
    _poke: (20, 5, 5, 5, 5),
    _plug: (10, 5, 70, 5, 5),
    _restart: (10, 5, 10, 70, 10),
    _fail: (12, 3, 3, 5, 60),
    _reset: (3, 2, 2, 5, 10),
}


class Happenings:
    """Those of one program."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        kind = rng.choice((0, 0, 0, 1, 2, 3, 4))
        #: how much of a program is of them
        self.share = rng.choice((0.0, 0.05, 0.2)) if not kind else rng.choice((0.1, 0.2))
        self._often = [weights[kind] for weights in _HAPPENINGS.values()]

    def __call__(self, world: World) -> Step:
        (happens,) = self._rng.choices(tuple(_HAPPENINGS), self._often)
        return happens(self._rng, world)
