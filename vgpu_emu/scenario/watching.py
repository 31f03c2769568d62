"""What a scenario may have that the reference watches: the steps of a program, and a device that it knows."""

from collections.abc import Iterator
from operator import attrgetter

from vgpu_emu.scenario.catalogue import Sleep
from vgpu_emu.scenario.expect import Expect
from vgpu_emu.scenario.records import End, Hardware, Host, Limits, Scenario
from vgpu_emu.scenario.steps import Step
from vgpu_emu.scenario.steps_driver import GuestWrite
from vgpu_emu.scenario.steps_raw import Raw
from vgpu_emu.scenario.steps_vmm import Plug, Rebind, RestartVmm, Unplug
from vgpu_emu.scenario.steps_watched import NEEDS_ORACLES, Call, HostFails, WatchedStep

#: what a step of a program can be
STEPS = (Raw, GuestWrite, Sleep, Plug, Unplug, RestartVmm, Rebind, HostFails, Call)
_WORDS = ", ".join(str(step.__struct_config__.tag) for step in STEPS)
#: path -> what it has to be: the reference's device has no other
_FIXED = {
    "platform": None,
    "hardware.capsets": Hardware().capsets,
    "hardware.virtqueues": Hardware().virtqueues,
    "host.max_fds": Host().max_fds,
    "limits.capset_bytes": Limits().capset_bytes,
    "end": End(),
}


def unfit(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Members that a scenario with oracles must not have, or one without: (path, what is wrong)."""
    if scenario.oracles.target is None:
        if scenario.oracles.schedule is not None:
            yield "oracles.schedule", "there is no target: core, machine or process"
        for number, step in enumerate(scenario.step):
            if isinstance(step, WatchedStep):
                yield f"step[{number}].do", NEEDS_ORACLES
        return
    for path, fixed in _FIXED.items():
        if attrgetter(path)(scenario) != fixed:
            yield path, "the device of a scenario with [oracles] has no other"
    for number, step in enumerate(scenario.step):
        yield from ((f"step[{number}].{member}", detail) for member, detail in _unfit(step))


def _unfit(step: Step) -> Iterator[tuple[str, str]]:
    if not isinstance(step, STEPS):
        yield "do", f"with [oracles] a step is one of {_WORDS}"
    elif step.expect != Expect():
        yield "expect", "with [oracles] it is the oracles that say what is expected"
    elif step.as_ is not None or any(step.references()):
        yield "as" if step.as_ is not None else "do", "with [oracles] nothing has a name: say its number"
