"""A device that is not ours, as far as a front-end can know it before the first program."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import trio
from msgspec.structs import replace
from trio.abc import Clock

from vgpu_emu.drive.answer import is_error
from vgpu_emu.drive.asking import Asker
from vgpu_emu.drive.conditions import CONTEXT, asked, blob_of_an_object
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.guest.probe import probe
from vgpu_emu.peers.front.machine import DeviceMachine, FrontConfig
from vgpu_emu.peers.front.source import DeviceSource, Source
from vgpu_wire.device import Feature

T = TypeVar("T")
#: bytes of a capability set that the reference has room for
_CAPSET_BYTES = 1 << 20
#: what nobody can ask a device about; programs stay below all of it, but where they mean not to
_LIMITS = {
    "resources": 1 << 16,
    "contexts": 1 << 12,
    "host_memory": 1 << 26,
    "image_lines": 1 << 16,
    "blob_bytes": 1 << 28,
    "entries": 1 << 14,
    "submit_bytes": 1 << 20,
    "fences": 1 << 10,
    "objects": 1 << 12,
    "object_bytes": 1 << 28,
}


class Outside(msgspec.Struct, frozen=True):
    """source: of the device. patience: seconds that it has for an answer. capsets: (id, highest version, bytes).

    streams: it carries out the emulator's own command streams, so that blobs of the host can be judged.
    clock: makes the one of each program, where it is not the real one.
    """

    source: Source
    patience: float = FrontConfig().patience
    capsets: tuple[tuple[int, int, int], ...] = ()
    streams: bool = False
    clock: Callable[[], Clock] | None = None

    def carry_out(self, main: Callable[[], Awaitable[T]]) -> T:
        """In an event loop of its own."""
        return trio.run(main, clock=None if self.clock is None else self.clock())

    @property
    def restarts(self) -> bool:
        """Whether a device that has crashed comes back."""
        return not isinstance(self.source, DeviceSource) or self.source.command is not None

    def config(self, setup: Setup) -> FrontConfig:
        """The front-end that a program asks for."""
        return FrontConfig(
            features=frozenset(feature for feature in Feature if setup.has(feature)),
            scanouts=setup.scanouts,
            guest_memory=setup.memory,
            patience=self.patience,
        )

    def setup(self, wanted: Setup, machine: DeviceMachine) -> Setup:
        """What a program gets that has asked for this setup. The machine has been probed."""
        changed: dict[str, Any] = {
            "features": sum(1 << feature for feature in machine.driver.features),
            "scanouts": tuple(output.size for output in machine.driver.outputs),
            "capsets": self.capsets,
            "host_visible": machine.region.size,
            "blob_alignment": machine.offer.config.blob_alignment,
            "asks": Setup().asks,
        }
        return replace(wanted, **changed, **_LIMITS)


def meet(stranger: Outside) -> Outside:
    """Make a device's acquaintance: what it is. Raises DeviceError, CommandError."""

    async def main() -> Outside:
        async with stranger.source.open(FrontConfig(patience=stranger.patience)) as machine:
            await machine.run(probe(machine.driver))
            known = machine.driver.capsets.known
            capsets = tuple((capset.id, capset.max_version, min(capset.max_size, _CAPSET_BYTES)) for capset in known)
            return replace(stranger, capsets=capsets, streams=await _has_our_streams(machine))

    return stranger.carry_out(main)


async def _has_our_streams(machine: DeviceMachine) -> bool:
    allocate, create = blob_of_an_object()
    asker = Asker(machine)
    answer = await asker.ask(asked("", create, *CONTEXT, allocate))
    if asker.error is not None:
        raise asker.error
    return not is_error(answer)
