"""``vgpu-emu drive``: what somebody else's device offers, and whose answers its answers are."""

import time
from typing import Annotated

import msgspec
import trio
from cyclopts import Parameter

from vgpu_emu.cli.devices import device_source, no_device, patience_of
from vgpu_emu.cli.drive_view import as_json, show
from vgpu_emu.cli.profiles import named_profile
from vgpu_emu.cli.progress import PATIENCE
from vgpu_emu.cli.usage import FOUND, complain
from vgpu_emu.drive.comparing import compare
from vgpu_emu.drive.exploring import Findings, explore
from vgpu_emu.peers.front.errors import DeviceError
from vgpu_emu.peers.front.machine import FrontConfig
from vgpu_emu.peers.front.source import CommandError, DeviceSource
from vgpu_emu.vmm.catalogue import PROFILES


def drive(
    *,
    device: str,
    command: str | None = None,
    profile: str | None = None,
    patience: float | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Ask a real virtio-gpu device: what it offers, what it answers to right and wrong requests, and who answers so.

    Our guest driver and a vhost-user front-end talk to a back-end such as QEMU's vhost-user-gpu. Every command is
    sent as it should be, and in every way to be wrong that a profile has an answer to. A device that crashes, hangs or
    breaks the protocol is reported with the request that it had, and started again with --command.

    Exit code 1: the device failed or, with --profile, is not like that profile.

    Examples:

        vgpu-emu drive --device vhost-user:/tmp/gpu.sock

        vgpu-emu drive --device vhost-user:/tmp/gpu.sock --command '/usr/lib/qemu/vhost-user-gpu -s {socket}'

        vgpu-emu drive --device vhost-user:/tmp/gpu.sock --profile vhost-user-gpu --json

    Parameters
    ----------
    device
        vhost-user:PATH: the socket at which the device listens.
    command
        Starts the device, and starts it again after a crash; {socket} stands for the path.
    profile
        Compare with this profile only; see: vgpu-emu profiles.
    patience
        Seconds that the device has for each answer, before it counts as hanging; 5 if it is not said.
    json_
        One JSON object instead of text.
    """
    profiles = list(PROFILES.values()) if profile is None else [named_profile(profile)]
    config = FrontConfig(patience=patience_of(patience))
    source = device_source(device, command)
    found = _explored(source, config)
    likenesses = compare(found, profiles)
    if json_:
        print(msgspec.json.encode(as_json(device, found, likenesses)).decode())
    else:
        show(device, found, likenesses)
    is_other = profile is not None and bool(likenesses[0].differences)
    return FOUND if found.failures or is_other else 0


def _explored(source: DeviceSource, config: FrontConfig) -> Findings:
    spoke = time.monotonic()

    def tick(done: int, total: int) -> None:
        nonlocal spoke
        if time.monotonic() - spoke > PATIENCE:
            spoke = time.monotonic()
            complain(f"drive: {done} of {total}")

    try:
        return trio.run(explore, source, config, tick)
    except (DeviceError, CommandError) as error:
        raise no_device(error, source) from None
