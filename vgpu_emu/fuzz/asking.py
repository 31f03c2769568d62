"""Calls of a guest that asks the device what it has: the driver's probe, hotplug, capability sets."""

from collections.abc import Callable

from vgpu_emu.fuzz.actions import one_of
from vgpu_emu.fuzz.guest import Guest
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.contexts import capset_data
from vgpu_emu.guest import probe as driver_probe
from vgpu_emu.guest.waiting import Op, wait_for
from vgpu_wire.device import Feature


def probed(guest: Guest) -> Op[None]:
    """The driver has found out what the device has, which it does once."""
    if not guest.bench.driver.outputs:
        yield from driver_probe.probe(guest.bench.driver)
        _capsets(guest)
        _displays(guest)


def probe(guest: Guest) -> Op[None]:
    yield from probed(guest)


def hotplug(guest: Guest) -> Op[None]:
    """The driver looks what the user has changed."""
    yield from probed(guest)
    driver = guest.bench.driver
    yield from driver_probe.config_changed(driver)
    guest.bench.world.events = 0
    yield from wait_for(lambda: not driver.outputs.is_pending, "the display info", driver_probe.PROBE_SECONDS)
    _displays(guest)


def _displays(guest: Guest) -> None:
    """What the driver knows of the displays is what they are, unless they have changed since. Raises Finding."""
    bench = guest.bench
    if bench.meddled or bench.world.events or bench.driver.outputs.is_pending:
        return
    bench.judge.evaluated["I6"] += 1
    for output, display in zip(bench.driver.outputs, bench.world.scanouts, strict=True):
        # of one that is off, the device may say any size
        size = (output.info.r.width, output.info.r.height) if output.is_connected else None
        wanted = (display.width, display.height) if display.enabled else None
        if size != wanted:
            raise Finding("I6", f"the driver takes display {output.index} for {size}, and it is {wanted}")
        if bench.world.has(Feature.EDID) and output.edid is None:
            raise Finding("I6", f"the driver has no EDID of display {output.index}")


def _capsets(guest: Guest) -> None:
    """The device may have them in any order."""
    bench = guest.bench
    if bench.meddled:
        return
    found = sorted((c.id, c.max_version, c.max_size) for c in bench.driver.capsets.known)
    wanted = sorted(bench.world.setup.capsets) if bench.world.has(Feature.VIRGL) else []
    bench.judge.evaluated["I6"] += 1
    if found != wanted:
        raise Finding("I6", f"the driver knows the capsets {found}, not {wanted}")


def capset(guest: Guest, file: int, number: int, version: int, size: int) -> Op[None]:
    """A capability set, or its first bytes."""
    yield from probed(guest)
    capset_id, highest, whole = one_of(guest.bench.world.setup.capsets, number)
    room = (whole, whole, whole // 2, whole + 64)[size % 4]
    got = yield from one_of(guest.files, file).get_caps(capset_id, version % (highest + 1), room)
    if guest.bench.meddled or not guest.bench.world.has_our_capsets:
        return
    guest.bench.judge.evaluated["I18"] += 1
    if got != capset_data(capset_id, whole)[:room]:
        raise Finding("I18", f"capset {capset_id} has other bytes for the program than for the device")


CALLS: dict[str, Callable[..., Op[None] | None]] = {"probe": probe, "hotplug": hotplug, "capset": capset}
NEEDS: dict[str, str] = {"capset": "files"}
