"""One program on several targets, and under several schedules: whoever carries it out, the answers are the same."""

from msgspec.structs import replace

from vgpu_emu.fuzz import trial
from vgpu_emu.fuzz.actions import Break, Program, Schedule
from vgpu_emu.fuzz.trial import Conditions, Found, Result


def is_calm(program: Program) -> bool:
    """Nothing goes wrong on its links, which only machines of several parties have."""
    return not any(isinstance(step, Break) for step in program.steps)


def in_one_thread(result: Result, conditions: Conditions) -> Found | None:
    """I32: what the core answers to the same program, against this result of another target."""
    core = trial.run(result.program, replace(conditions, target="core"))
    if core.digest == result.digest and core.found == result.found:
        return None
    return Found(
        "I32", f"one thread has other answers: {core.found or 'nothing is wrong there'}", len(core.program.steps)
    )


def differing(result: Result, again: Result) -> Found | None:
    """I34: what a program answered, against the same when it was carried out once more."""
    if result.digest == again.digest:
        return None
    return Found("I34", "the same program has other answers when it is carried out again", 0)


def under(program: Program, seed: int) -> Program:
    """The same program with another order of tasks."""
    rest = tuple(step for step in program.steps if not isinstance(step, Schedule))
    return Program(program.setup, (Schedule(seed), *rest))
