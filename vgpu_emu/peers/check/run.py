"""The check of one route: a guest is booted, watched and judged."""

from pathlib import Path
from typing import NamedTuple

from vgpu_emu.attributes.mtrr import Bar
from vgpu_emu.peers.check.blobs import BLOBS
from vgpu_emu.peers.check.boot import BootError
from vgpu_emu.peers.check.job import Job, run_guest
from vgpu_emu.peers.check.judge import judge
from vgpu_emu.peers.check.routes import Route
from vgpu_emu.peers.check.rows import Outcome, Row
from vgpu_emu.peers.check.watcher import Watcher

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


async def check_route(job: Job) -> Report:
    """Boot a guest on the route's device. What cannot even start is a row too."""
    watcher = Watcher(job.route, job.logs)
    blobs = ",".join(blob.wish for blob in BLOBS) if job.bar else ""
    try:
        found = await run_guest(job, f"VGPU_BLOBS={blobs}", watcher.listen, PATIENCE)
    except BootError as error:
        rows = [Row("guest", "boots and comes to its end", "yes", str(error), Outcome.DIFFERS)]
    else:
        rows = judge(found, job.offers, job.bar, watcher.screens)
    return Report(job.route, job.bar, rows, job.logs)
