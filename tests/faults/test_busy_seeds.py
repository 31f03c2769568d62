"""A few of the seeds: two guests' files at work in parallel, under random faults. More by ``busy_seeds.py``."""

import pytest
from busy_seeds import busy, fired, plan_of
from msgspec import to_builtins

from vgpu_emu.simulation import Simulation
from vgpu_emu.trace.hashing import trace_hash

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize("seed", range(60))
def test_seed_ends_without_a_violation(seed: int) -> None:
    Simulation(seed).run(busy, seed)


def test_seeds_differ_and_repeat_themselves() -> None:
    once, again = ([trace_hash(Simulation(seed).run(busy, seed)[1].log.events) for seed in range(20)] for _ in range(2))
    assert once == again
    assert len(set(once)) == 20


def test_faults_do_happen() -> None:
    happened = [fault for seed in range(20) for fault in fired(Simulation(seed).run(busy, seed)[1])]
    assert len({type(fault) for fault in happened}) > 8
    assert to_builtins(plan_of(3)) == to_builtins(plan_of(3))
