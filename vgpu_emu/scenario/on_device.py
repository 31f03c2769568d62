"""Scenarios on a device that is not ours: which of them can be carried out there, and by what machine."""

import re
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from vgpu_emu.peers.front.machine import DeviceMachine, FrontConfig
from vgpu_emu.peers.front.offer import Offer
from vgpu_emu.peers.front.source import Source
from vgpu_emu.scenario import words
from vgpu_emu.scenario.outcome import ImpossibleError
from vgpu_emu.scenario.records import End, Hardware, Host, Limits, Scenario
from vgpu_emu.scenario.steps import InsideStep, Step
from vgpu_emu.scenario.steps_context import GetParam
from vgpu_emu.scenario.steps_raw import Raw
from vgpu_emu.trace.meanings import COMMANDS
from vgpu_wire.control import CtrlType
from vgpu_wire.device import FEATURE_NEEDS, Feature
from vgpu_wire.virtgpu_drm import Param

#: of what hardware says, the front-end has displays and memory as they should be; rings are always in memory
_OURS = {"scanouts", "guest_memory", "virtqueues"}
#: a line of the ladder that is neither from nor to the guest
_INSIDE = re.compile(r"\bhost\b|(?<!-> )\bvmm\b(?! *-> *guest)")
_EXPECTED_INSIDE = ("conflict", "hangs", "device", "seconds")


class OnDevice(NamedTuple):
    """source: of the device. profile: the one that it is said to be like.

    patience: seconds that it has for an answer.
    """

    source: Source
    profile: str = "strict"
    patience: float = FrontConfig().patience

    @asynccontextmanager
    async def open(self, scenario: Scenario) -> AsyncGenerator[DeviceMachine, None]:
        """The machine that the scenario asks for. Raises ImpossibleError where the device cannot be that; DeviceError,
        CommandError."""
        for reason in unfit(scenario):
            raise ImpossibleError(reason)
        async with self.source.open(self.config(scenario)) as machine:
            for reason in _lacks(scenario, machine.offer):
                raise ImpossibleError(reason)
            yield machine

    def config(self, scenario: Scenario) -> FrontConfig:
        named = scenario.features
        return FrontConfig(
            features=frozenset(Feature) if named is None else words.features(named),
            scanouts=scenario.hardware.scanouts,
            guest_memory=scenario.hardware.guest_memory,
            patience=self.patience,
        )


def unfit(scenario: Scenario) -> Iterator[str]:
    """Why no device but ours can carry it out."""
    for member, default in (("host", Host()), ("limits", Limits()), ("end", End()), ("platform", None), ("fault", [])):
        if getattr(scenario, member) != default:
            yield f"it says what {member} is, which a real device does not let one choose or see"
    for member in ("capsets", "blob_alignment", "host_visible"):
        if getattr(scenario.hardware, member) != getattr(Hardware(), member):
            yield f"it chooses hardware.{member}, which a real device brings with it"
    for step in _steps(scenario.step):
        yield from (f"the step {step.title} {reason}" for reason in _unfit(step))


def _unfit(step: Step) -> Iterator[str]:
    """A rule that the VMM saw broken is seen of a real device by its response."""
    if isinstance(step, InsideStep):
        yield "is about the insides of VMM or host"
    for name in _EXPECTED_INSIDE:
        if getattr(step.expect, name):
            yield f"expects {name}, which nobody sees of a real device"
    if step.expect.rule and not step.expect.response:
        yield "expects a rule and no response, and nobody sees the rules of a real device"
    for pattern in (*step.expect.trace, *step.expect.never):
        if _INSIDE.search(pattern):
            yield f"expects a line that nobody sees of a real device: {pattern}"


def _lacks(scenario: Scenario, offer: Offer) -> Iterator[str]:
    """What the scenario needs and the device does not offer."""
    missing = needed_features(scenario) - offer.gpu_features
    if missing:
        yield f"the device does not offer {', '.join(sorted(feature.name for feature in missing))}"
    if not offer.host_visible and any(map(_needs_region, _steps(scenario.step))):
        yield "the device has no host visible region"


def needed_features(scenario: Scenario) -> frozenset[Feature]:
    """What is said to be negotiated; where nothing is said, what the steps' commands need."""
    if scenario.features is not None:
        return words.features(scenario.features)
    needed = {feature for step in _steps(scenario.step) for feature in _needs(step)}
    return frozenset(needed | {FEATURE_NEEDS.get(feature, feature) for feature in needed})


def _needs(step: Step) -> frozenset[Feature]:
    """A step that has a choice of commands needs what all of them need."""
    needs = [COMMANDS[command].needs for command in _commands(step)]
    return frozenset(feature for feature in needs if feature is not None and needs.count(feature) == len(needs))


def _needs_region(step: Step) -> bool:
    asks = isinstance(step, GetParam) and step.param in {"host_visible", Param.HOST_VISIBLE.value}
    return asks or CtrlType.RESOURCE_MAP_BLOB.value in _commands(step)


def _commands(step: Step) -> tuple[int, ...]:
    if isinstance(step, Raw) and isinstance(step.message, str):
        return (CtrlType[step.message].value,)
    return step.commands


def _steps(steps: Iterable[Step]) -> Iterator[Step]:
    """All of them, those inside of others included."""
    for step in steps:
        yield step
        yield from _steps(inner for _, inner in step.inner())
