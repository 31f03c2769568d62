"""The check of one route: a guest is booted, watched and judged."""

from pathlib import Path
from typing import NamedTuple

from vgpu_emu.attributes.mtrr import Bar
from vgpu_emu.peers.check.blobs import BLOBS
from vgpu_emu.peers.check.boot import BootError
from vgpu_emu.peers.check.job import Job, run_guest
from vgpu_emu.peers.check.routes import Route
from vgpu_emu.peers.check.rows import Outcome, Row, judge
from vgpu_emu.peers.check.watcher import Watcher
from vgpu_emu.peers.guest.image import Image
from vgpu_emu.peers.parts.parts import Parts

#: seconds for a guest; TCG on a machine that does nothing else takes a fortieth of that
PATIENCE = 240.0


class Report(NamedTuple):
    """What came of a route. bar: None where there is no host visible region. logs: a folder with all that was said."""

    route: Route
    bar: Bar | None
    rows: list[Row]
    logs: Path

    @property
    def good(self) -> bool:
        return all(row.outcome is not Outcome.DIFFERS for row in self.rows)


def job_name(route: Route, bar: Bar | None) -> str:
    """Of one guest: ``vfio-user-above-4g``."""
    return route.name if bar is None else f"{route.name}-{bar.value}"


async def check_route(route: Route, bar: Bar | None, parts: Parts, image: Image, logs: Path) -> Report:
    """Boot a guest on the route's device. What cannot even start is a row too."""
    folder = logs / job_name(route, bar)
    watcher = Watcher(route, folder)
    wishes = ",".join(blob.wish for blob in BLOBS) if route.renders else ""
    job = Job(route, bar, parts, image, folder)
    try:
        found = await run_guest(job, f"VGPU_BLOBS={wishes}", watcher.listen, PATIENCE)
    except BootError as error:
        rows = [Row("guest", "boots and comes to its end", "yes", str(error), Outcome.DIFFERS)]
    else:
        rows = judge(found, route.renders, bar, watcher.screens)
    return Report(route, bar, rows, folder)
