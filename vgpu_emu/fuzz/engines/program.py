"""Programs (see encoding.py) on driver, device and renderer in one thread, under all oracles."""

from random import Random

from vgpu_emu.fuzz.actions import Program, Step
from vgpu_emu.fuzz.bench import Bench
from vgpu_emu.fuzz.defect import SEAMS
from vgpu_emu.fuzz.encoding import decode, encode
from vgpu_emu.fuzz.engines.target import Target
from vgpu_emu.fuzz.engines.wanted import wanted
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.mutate import mutated
from vgpu_emu.fuzz.trial import Conditions, explore, run

#: steps that a program may grow by
_GROWTH = 8


def run_program(data: bytes) -> None:
    """Raises Finding."""
    found = run(decode(data), CONDITIONS).found
    if found is not None:
        raise Finding(found.oracle, f"step {found.step}: {found.detail}")


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Half of the time the engine changes bytes; else the program grows by steps that make sense, or steps change."""
    rng = Random(seed)
    choice = rng.random()
    if choice < 0.5:
        return _by_engine(data, max_size)
    program = decode(data)
    program = _grown(program, rng) if choice < 0.75 or not program.steps else mutated(program, [program], rng)
    return _fitting(program, max_size)


def cross(data: bytes, other: bytes, max_size: int, seed: int) -> bytes:
    """The start of one program, the end of the other, between whole steps."""
    return _fitting(mutated(decode(data), [decode(other)], Random(seed)), max_size)


def _by_engine(data: bytes, max_size: int) -> bytes:
    import atheris

    changed: bytes = atheris.Mutate(data, max_size)
    return changed


class _Continued:
    """A program's steps, then those of a swarm, which sees what the program has made."""

    def __init__(self, program: Program, swarm: Swarm) -> None:
        self._steps = iter(program.steps)
        self._swarm = swarm

    def step(self, bench: Bench) -> Step:
        return next(self._steps, None) or self._swarm.step(bench)

    def weather(self) -> list[Step]:
        """The program's own, if it has some."""
        return []


def _grown(program: Program, rng: Random) -> Program:
    swarm = Swarm(rng)
    setup = program.setup if program.steps else swarm.setup
    swarm.calls = setup.real
    return explore(_Continued(program, swarm), setup, len(program.steps) + rng.randint(1, _GROWTH), CONDITIONS).program


def _fitting(program: Program, max_size: int) -> bytes:
    data = encode(program)
    while len(data) > max_size and program.steps:
        program = Program(program.setup, program.steps[: len(program.steps) // 2])
        data = encode(program)
    return data[:max_size]


CONDITIONS = Conditions(defects=tuple(wanted(*SEAMS)))
PROGRAM = Target("program", run_program, mutate, cross)
