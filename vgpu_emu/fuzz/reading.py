"""The program in a scenario that the reference watches: what `telling.tell` has told."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import asdict

from vgpu_emu.faults.hands import ERRNOS
from vgpu_emu.fuzz.actions import Break, Call, Elapse, Fail, Plug, Poke, Program, Reset, Restart, Schedule, Send, Step
from vgpu_emu.fuzz.calls import NUMBERS
from vgpu_emu.fuzz.model.setup import Asks, Setup
from vgpu_emu.fuzz.telling import LIMITS
from vgpu_emu.scenario import steps_watched as watched
from vgpu_emu.scenario import words
from vgpu_emu.scenario.catalogue import Sleep
from vgpu_emu.scenario.configuring import config_of
from vgpu_emu.scenario.mistakes import nearest
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.steps_driver import GuestWrite
from vgpu_emu.scenario.steps_raw import Raw
from vgpu_emu.scenario.steps_vmm import Plug as PlugIn
from vgpu_emu.scenario.steps_vmm import Rebind, RestartVmm, Unplug
from vgpu_emu.scenario.things import StepError
from vgpu_emu.trace.hextext import bytes_from_hex
from vgpu_wire.blob import MapCache
from vgpu_wire.device import Feature


class ReadError(ValueError):
    """The scenario is no program. step: which of its steps, from 0 on. member: of the step."""

    def __init__(self, step: int, wrong: StepError) -> None:
        super().__init__(f"step[{step}].{wrong.member}: {wrong}")
        self.step = step
        self.member = wrong.member
        self.detail = str(wrong)


def program_of(scenario: Scenario) -> Program:
    """Of a scenario that has oracles. Raises ReadError."""
    if scenario.oracles.target is None:
        raise ReadError(0, StepError("do", "a file without [oracles] is no program"))
    schedule = scenario.oracles.schedule
    steps: list[Step] = [] if schedule is None else [Schedule(schedule)]
    steps += map(Break, scenario.fault)
    for number, step in enumerate(scenario.step):
        try:
            steps.append(_READ[type(step)](step))
        except StepError as wrong:
            raise ReadError(number, wrong) from None
    return Program(_setup(scenario), tuple(steps))


def _setup(scenario: Scenario) -> Setup:
    config, host = config_of(scenario), scenario.host
    limits = asdict(config.device_limits)
    return Setup(
        features=_bits(config.features),
        scanouts=config.scanouts,
        host_visible=config.host_visible,
        blob_alignment=config.blob_alignment,
        memory=config.guest_memory,
        asks=Asks(host.dialect) if host.ioctl else Asks.GUESS,
        guess=MapCache[host.guess.upper()].value,
        objects=host.objects,
        object_bytes=host.memory,
        real=host.bytes_,
        **{name: limits[name] for name in LIMITS},
    )


def _bits(features: frozenset[Feature]) -> int:
    return sum(1 << feature for feature in features)


def _call(step: watched.Call) -> Call:
    """Raises StepError."""
    if step.call not in NUMBERS:
        raise StepError("call", f"there is no {step.call}{nearest(step.call, NUMBERS)}")
    names = NUMBERS[step.call]
    for name in step.with_:
        if name not in names:
            raise StepError("with", f"{step.call} takes no {name}{nearest(name, names)}")
    said = max((names.index(name) + 1 for name in step.with_), default=0)
    return Call(step.call, tuple(step.with_.get(name, 0) for name in names[:said]))


def _fail(step: watched.HostFails) -> Fail:
    errno = step.errno if isinstance(step.errno, int) else ERRNOS[step.errno]
    return Fail(errno, step.skip, step.extra, step.lose)


_READ: dict[type, Callable[[Any], Step]] = {
    Raw: lambda step: Send(*step.told()),
    GuestWrite: lambda step: Poke(step.address, bytes_from_hex(step.bytes_)),
    Sleep: lambda step: Elapse(round(step.seconds * 1e6)),
    PlugIn: lambda step: Plug(step.scanout, step.width, step.height),
    Unplug: lambda step: Plug(step.scanout, 0, 0),
    RestartVmm: lambda step: Restart(),
    Rebind: lambda step: Reset(None if step.features is None else _bits(words.features(step.features))),
    watched.HostFails: _fail,
    watched.Call: _call,
}
