"""What the programs of a round are made of."""

import pickle

import pytest

from vgpu_emu.fuzz.batches import Plan, Work
from vgpu_emu.fuzz.campaign import Summary
from vgpu_emu.fuzz.trial import Conditions
from vgpu_emu.fuzz.worker import SAMPLE, carry_out


def test_plan_arrives_in_another_process_as_it_was() -> None:
    summary = Summary()
    summary.add(carry_out(Work(Plan(3), 0, 30), Conditions()))
    summary.corpus = dict.fromkeys([b"", bytes(range(256))])
    plan = summary.plan(3, "salt")
    assert len(plan.covered) > 100
    assert pickle.loads(pickle.dumps(plan)) == plan


@pytest.mark.parametrize("count", [SAMPLE - 1, SAMPLE, SAMPLE + 1])
def test_round_is_made_of_some_of_a_large_corpus(count: int) -> None:
    corpus = [number.to_bytes(2, "little") for number in range(count)]
    plan = Summary(corpus=dict.fromkeys(corpus)).plan(3, "")
    assert set(plan.corpus) <= set(corpus)
    assert len(plan.corpus) == len(set(plan.corpus)) == min(count, SAMPLE)
    assert plan == Summary(corpus=dict.fromkeys(corpus)).plan(3, "")
    assert (plan == Summary(corpus=dict.fromkeys(corpus), sequences=1).plan(3, "")) == (count <= SAMPLE)
