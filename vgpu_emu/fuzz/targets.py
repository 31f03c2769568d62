"""What programs can be carried out on, by name; a target is loaded when it is used."""

from importlib import import_module
from typing import Protocol, cast

from vgpu_emu.fuzz.actions import Program
from vgpu_emu.fuzz.bench import Chooser
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.trial import Conditions, Result

#: name -> the module with its `run` and `explore`
TARGETS = {
    "core": "vgpu_emu.fuzz.trial",
    "machine": "vgpu_emu.fuzz.machine_trial",
    "process": "vgpu_emu.fuzz.machine_trial",
    "device": "vgpu_emu.fuzz.device_trial",
}


class Target(Protocol):
    """A module that carries out programs. What goes wrong is told in the result, never raised; only that
    nothing can be carried out any more: TargetLostError."""

    @staticmethod
    def run(program: Program, conditions: Conditions, *, look: bool = False) -> Result:
        """Carry out a program. look: find the first step that violates, at any price."""

    @staticmethod
    def explore(choose: Chooser, setup: Setup, length: int, conditions: Conditions) -> Result:
        """Carry out what is chosen, step by step."""


def target(name: str) -> Target:
    """Raises KeyError for a name that is not in TARGETS."""
    return cast(Target, import_module(TARGETS[name]))
