"""Whatever a file says, it is a mistake that is told, a success or a failure: never a crash, and nothing is left."""

from collections import Counter

import pytest
from any_scenario import any_scenario, in_toml

from vgpu_emu.scenario.loading import loads
from vgpu_emu.scenario.mistakes import ScenarioMistake
from vgpu_emu.scenario.outcome import Result
from vgpu_emu.scenario.session import run

BLOCKS, SEEDS = 6, 40


@pytest.mark.parametrize("block", range(BLOCKS))
def test_any_scenario_is_a_mistake_or_has_an_outcome(block: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        text = "".join(f"{name} = {in_toml(value)}\n" for name, value in any_scenario(seed).items())
        try:
            (scenario,) = loads(text)
        except ScenarioMistake:
            seen["mistake"] += 1
            continue
        outcome = run(scenario, seed=seed)
        assert outcome.result is not Result.CRASH, f"{outcome.detail}\n{text}"
        seen[outcome.result.value] += 1
    # of each kind there are some, or the test would show nothing
    assert {"mistake", "FAIL"} <= set(seen)
    assert seen["mistake"] < SEEDS * 3 // 4
