"""Scenarios on a device that is not ours, one after the other."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from vgpu_emu.cli.devices import device_source, no_device, patience_of
from vgpu_emu.cli.profiles import named_profile
from vgpu_emu.cli.progress import progress
from vgpu_emu.cli.scenario_files import Found
from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.front.source import CommandError, DeviceSource
from vgpu_emu.scenario.on_device import OnDevice
from vgpu_emu.scenario.outcome import Outcome, Result
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.session import run_on_device

if TYPE_CHECKING:
    from vgpu_emu.fuzz.outside import Outside


class DeviceJobs:
    """device: vhost-user:PATH. command: starts it. profile: what it is like. patience: seconds for an answer.

    A scenario that the reference watches says itself what its device is like; a profile that is given goes before.

    Raises UsageError.
    """

    def __init__(self, device: str, command: str | None, profile: str | None, patience: float | None) -> None:
        self._profile = None if profile is None else named_profile(profile).name
        self._source: DeviceSource = device_source(device, command)
        self._patience = patience_of(patience)
        self._is_known = False

    def outcomes(self, work: Sequence[Found], until: int | None) -> Iterator[Outcome]:
        """Of each scenario, as soon as it is there. Raises UsageError if the device was never there."""
        yield from progress("run", len(work), (self._outcome(found, until) for found in work))

    def _outcome(self, found: Found, until: int | None) -> Outcome:
        carry_out = self._played if found.scenario.oracles.target is None else self._watched
        try:
            outcome = carry_out(found.scenario, str(found.path), until)
        except (DeviceError, CommandError) as error:
            if not self._is_known:
                raise no_device(error, self._source) from None
            outcome = Outcome(id=found.scenario.id, file=str(found.path), result=Result.FAIL, detail=str(error))
        self._is_known = self._is_known or outcome.result is not Result.SKIP
        return outcome

    def _played(self, scenario: Scenario, file: str, until: int | None) -> Outcome:
        """Raises DeviceError, CommandError."""
        device = OnDevice(self._source, self._profile or "strict", self._patience)
        return run_on_device(scenario, device, file=file, until=until)

    def _watched(self, scenario: Scenario, file: str, until: int | None) -> Outcome:
        """Programs of vgpu-emu fuzz have the reference's oracles. Raises DeviceError, CommandError."""
        from vgpu_emu.fuzz.scenarios import run as watch
        from vgpu_emu.fuzz.trial import TargetLostError

        try:
            return watch(scenario, file=file, until=until, device=self._met, profile=self._profile)
        except TargetLostError as lost:
            raise DeviceError(DeviceFault.GONE, str(lost)) from None

    @cached_property
    def _met(self) -> "Outside":
        """What programs know of it: asked once, as it is started for that. Raises DeviceError, CommandError."""
        from vgpu_emu.fuzz.outside import Outside, meet

        return meet(Outside(self._source, self._patience))
