"""A device explored: what it offers, and its answers to all conditions, over crashes and hangs."""

from collections import deque
from collections.abc import Callable

import msgspec

from vgpu_emu.drive.answer import Answer, is_error
from vgpu_emu.drive.asking import Asker
from vgpu_emu.drive.conditions import CONTEXT, Condition, asked, blob_of_an_object
from vgpu_emu.drive.model import Hardware
from vgpu_emu.drive.right import right
from vgpu_emu.drive.wrong_2d import WRONG_2D
from vgpu_emu.drive.wrong_3d import wrong_3d
from vgpu_emu.guest.probe import probe
from vgpu_emu.peers.front.errors import DeviceError
from vgpu_emu.peers.front.machine import DeviceMachine, FrontConfig
from vgpu_emu.peers.front.offer import Offer
from vgpu_emu.peers.front.source import Source
from vgpu_wire.device import Feature

#: bytes of the host visible region that a device without one is asked about
_NO_REGION = 16 * 4096


class Failure(msgspec.Struct, frozen=True):
    """The device crashed, hung or broke the protocol; error: a line."""

    condition: str
    error: str


class Findings(msgspec.Struct, frozen=True):
    """displays: what GET_DISPLAY_INFO says, in pixels. edid: of the first one. answers: to what was asked, in order.

    skipped: conditions that were not asked about, and why.
    """

    offer: Offer
    hardware: Hardware
    displays: list[tuple[int, int]]
    edid: bytes
    answers: list[tuple[Condition, Answer]]
    failures: list[Failure]
    skipped: dict[str, str]


async def explore(source: Source, config: FrontConfig, tick: Callable[[int, int], None]) -> Findings:
    """tick: called with how many conditions were asked about, and their number.

    Raises DeviceError if the device cannot be set up at all; CommandError.
    """
    async with source.open(config) as machine:
        await machine.run(probe(machine.driver))
        found = _introduce(machine)
        objects = asked("", blob_of_an_object()[1], *CONTEXT, blob_of_an_object()[0])
        asker = Asker(machine)
        has_objects = not is_error(await asker.ask(objects))
        await asker.clean(objects)
    pending = deque(_conditions(found.hardware))
    for condition in [condition for condition in pending if condition.objects and not has_objects]:
        found.skipped[condition.name] = "it needs blobs of the emulator's own renderer"
        pending.remove(condition)
    await _Exploration(source, config, found, tick).run(pending)
    return found


def _introduce(machine: DeviceMachine) -> Findings:
    outputs, known = machine.driver.outputs, machine.driver.capsets.known
    sizes = [output.size for output in outputs if output.is_connected]
    hardware = Hardware(
        machine.offer.gpu_features,
        tuple(output.size for output in outputs),
        tuple((capset.id, capset.max_version, min(capset.max_size, 1 << 20)) for capset in known),
        machine.region.size,
    )
    return Findings(machine.offer, hardware, sizes, (outputs[0].edid or b"") if outputs else b"", [], [], {})


def _conditions(hardware: Hardware) -> list[Condition]:
    """All of them; those that negotiate less last."""
    capsets = [(number, version) for number, version, _ in hardware.capsets]
    found = [*right(capsets), *WRONG_2D, *wrong_3d(hardware.host_visible or _NO_REGION)]
    return sorted(found, key=lambda condition: condition.without or -1)


class _Exploration:
    def __init__(self, source: Source, config: FrontConfig, found: Findings, tick: Callable[[int, int], None]) -> None:
        self.source = source
        self.config = config
        self.found = found
        self.tick = tick

    async def run(self, pending: deque[Condition]) -> None:
        """Ask about all, on one device after the other."""
        total = len(pending)
        while pending:
            before = len(pending)
            try:
                await self._connection(pending, total)
            except DeviceError as error:
                if len(pending) == before:
                    # it does not come back
                    self.found.skipped.update(dict.fromkeys((each.name for each in pending), str(error)))
                    return
                self.found.failures.append(Failure(self.found.answers[-1][0].name, str(error)))

    async def _connection(self, pending: deque[Condition], total: int) -> None:
        """Ask about as many as negotiate the same, or until the device fails. Raises DeviceError."""
        offered = self.found.hardware.features
        features = pending[0].features(offered)
        config = msgspec.structs.replace(self.config, features=frozenset[Feature](features))
        async with self.source.open(config) as machine:
            asker = Asker(machine)
            while pending and pending[0].features(offered) == features:
                condition = pending.popleft()
                self.found.answers.append((condition, await asker.ask(condition)))
                await asker.clean(condition)
                if asker.error is not None:
                    raise asker.error
                self.tick(total - len(pending), total)
