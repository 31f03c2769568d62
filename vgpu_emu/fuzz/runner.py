"""Who carries out a scenario on machines of our own: the reference watches those that have oracles."""

from collections.abc import Callable, Sequence
from functools import partial

from vgpu_emu.scenario.outcome import Outcome
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.session import run


def runner(scenario: Scenario, defects: Sequence[type] = ()) -> Callable[..., Outcome]:
    """What is called with the scenario, and with file, seed and until if need be. defects: are planted."""
    # the reference takes a moment to import, and few scenarios have it
    if scenario.oracles.target is not None:
        from vgpu_emu.fuzz.scenarios import run as watch

        return partial(watch, defects=defects)
    if not defects:
        return run
    from vgpu_emu.fuzz.planting import planted

    return partial(run, opener=planted(defects))
