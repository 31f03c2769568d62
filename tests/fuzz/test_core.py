"""The core target: clean programs have no finding, and a device that is changed has one."""

import ast
from pathlib import Path
from random import Random
from typing import Any

import pytest
from engine_defects import CachedForAll

from vgpu_emu.fuzz.actions import Program
from vgpu_emu.fuzz.core import Core
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.model.case import Finding

MODEL = Path(__file__).parents[2] / "vgpu_emu" / "fuzz" / "model"


def explore(seeds: range, defects: tuple[Any, ...] = ()) -> Finding | None:
    """The first finding of the programs of these seeds."""
    for seed in seeds:
        swarm = Swarm(Random(seed))
        core = Core(swarm.setup, defects=defects)
        try:
            core.explore(swarm, 20)
        except Finding as finding:
            return finding
        finally:
            core.close()
    return None


def made(seed: int, length: int = 20) -> Program:
    """The program of a seed."""
    swarm = Swarm(Random(seed))
    core = Core(swarm.setup)
    try:
        return core.explore(swarm, length)
    finally:
        core.close()


def test_clean_machine_has_no_finding() -> None:
    assert explore(range(40)) is None


def test_wrong_attribute_is_found() -> None:
    found = explore(range(400), (CachedForAll(),))
    assert found is not None
    assert found.oracle == "I1"


@pytest.mark.parametrize("path", sorted(MODEL.glob("*.py")), ids=lambda path: path.name)
def test_reference_knows_the_wire_and_nothing_else_of_ours(path: Path) -> None:
    modules = [node.module or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    ours = [module for module in modules if module.startswith("vgpu_emu")]
    assert all(module.startswith("vgpu_emu.fuzz.model") for module in ours)
