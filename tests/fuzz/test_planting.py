"""Defects in the machine of a scenario whose expectations a person wrote."""

from typing import Any

import pytest
from engine_defects import ForgetsCursors

from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.defects import ALL
from vgpu_emu.fuzz.planting import planted
from vgpu_emu.link.chain import Used
from vgpu_emu.scenario.loading import loads
from vgpu_emu.scenario.outcome import Result
from vgpu_emu.scenario.session import run

HEAD = 'id = "test@planted"\nwhy = "A defect is planted."\n'
MAPPED = """
[[step]]
do = "create-blob"
exporter = "wc"
as = "blob"

[[step]]
do = "mmap"
of = "blob"
as = "view"
expect = { map_info = "wc" }
"""
RESTARTED = (
    MAPPED
    + """
[[step]]
do = "munmap"
of = "view"

[[step]]
do = "raw"
message = "MOVE_CURSOR"
fields = { pos = { x = 5 } }

[[step]]
do = "restart-vmm"

[[step]]
do = "check"
expect.value.vmm.scanouts = [{ cursor = { x = 5 } }]
"""
)


class CountsDevices:
    """Every device that there is goes through the seam."""

    seen: list[Any] = []  # noqa: RUF012 - of the class, as each run has its own object

    def device(self, device: Any) -> Any:
        self.seen.append(device)
        return device


class CountsDrivers:
    """Every driver that there is goes through the seam."""

    seen: list[Any] = []  # noqa: RUF012 - of the class, as each run has its own object

    def driver(self, driver: Any) -> Any:
        self.seen.append(driver)
        return driver


class _Late(Wrapper):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.held: list[Used] = []

    def used(self, used: Used) -> list[Used]:
        self.held += self.inner.used(used)
        return []

    def idle(self) -> list[Used]:
        held, self.held = self.held, []
        return held


class HoldsBack:
    """Answers arrive when nobody has anything to send, and not sooner: virtio leaves that open."""

    def link(self, wire: Any) -> Any:
        return _Late(wire)


class Loses:
    """Nothing that was held back arrives."""

    def link(self, wire: Any) -> Any:
        late = _Late(wire)
        late.idle = list  # type: ignore[method-assign]
        return late


@pytest.mark.parametrize(("defect", "result"), [(HoldsBack, Result.SUCCESS), (Loses, Result.FAIL)])
def test_link_is_asked_for_what_it_held_back(defect: type, result: Result) -> None:
    (scenario,) = loads(HEAD + RESTARTED)
    assert run(scenario, opener=planted([defect])).result is result


@pytest.mark.parametrize(
    ("defect", "steps", "path"), [(ALL["P12"], MAPPED, "step[1]"), (ForgetsCursors, RESTARTED, "step[5]")]
)
def test_scenario_fails_with_the_defect_and_passes_without(defect: type, steps: str, path: str) -> None:
    (scenario,) = loads(HEAD + steps)
    assert run(scenario, opener=planted([])).result is Result.SUCCESS
    failure = run(scenario, opener=planted([defect])).failure
    assert failure is not None
    assert failure.path == path


def test_vmm_that_goes_on_has_the_defect_too() -> None:
    (scenario,) = loads(HEAD + RESTARTED)
    assert run(scenario, opener=planted([CountsDevices])).result is Result.SUCCESS
    assert len(CountsDevices.seen) == 2


def test_driver_that_is_bound_again_has_the_defect_too() -> None:
    (scenario,) = loads(HEAD + '[[step]]\ndo = "rebind"\n')
    assert run(scenario, opener=planted([CountsDrivers])).result is Result.SUCCESS
    assert len(set(map(id, CountsDrivers.seen))) == 2
