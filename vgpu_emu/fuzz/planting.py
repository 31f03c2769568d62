"""Defects in the machine of a scenario: what shows that a scenario fails where it should."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import asdict, replace

from vgpu_emu.assembly import Config, Parts
from vgpu_emu.faults.plan import Fault
from vgpu_emu.fuzz.defect import made, plant
from vgpu_emu.fuzz.passage import Wire
from vgpu_emu.guest.driver import Driver
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import Port
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.scenario.running import Opener
from vgpu_emu.vmm.asking import Steps


class _GuestPort:
    """The guest's end of the queues, with the wire before it."""

    def __init__(self, port: Port[list[Chain], list[Used]], wire: Wire) -> None:
        self._port = port
        self._wire = wire
        self.close = port.close

    def send(self, chains: list[Chain]) -> None:
        self._port.send([arrived for chain in chains for arrived in self._wire.available(chain)])

    async def receive(self) -> list[Used]:
        """What was held back arrives when nobody has anything to do, before anything that comes later."""
        from trio.testing import wait_all_tasks_blocked

        await wait_all_tasks_blocked()
        return self._wire.idle() or [back for used in await self._port.receive() for back in self._wire.used(used)]


class _Planted(Parts, frozen=True, kw_only=True):
    """Parties with defects: the VMM that goes on from a snapshot has them, too, and the driver after a reset."""

    defects: tuple[Any, ...]

    def restarted(self) -> "_Planted":
        fresh = super().restarted()
        return replace(fresh, device=plant(self.defects, "device", fresh.device))

    def successor(self, driver: Driver) -> Driver:
        return plant(self.defects, "driver", super().successor(driver))

    def restore(self, data: bytes) -> Steps[list[Used]]:
        return super().restore(plant(self.defects, "snapshot", data))


def planted(defects: Sequence[Any]) -> Opener:
    """An opener of machines that have these defects."""

    @asynccontextmanager
    async def opened(config: Config, *, faults: Iterable[Fault]) -> AsyncGenerator[Machine, None]:
        live = tuple(made(defects))

        def change(parts: Parts) -> Parts:
            parties = {seam: plant(live, seam, getattr(parts, seam)) for seam in _PARTIES}
            return _Planted(**{**asdict(parts), **parties}, defects=live)

        async with open_machine(config, faults=faults, change=change) as machine:
            machine.port = _GuestPort(machine.port, plant(live, "link", Wire()))
            yield machine

    return opened


_PARTIES = ("device", "renderer", "driver")
