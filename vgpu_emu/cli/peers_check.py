"""``python -m peers check``: a real Linux on each device, and what it found beside what was expected."""

import json
from pathlib import Path
from typing import Annotated, Any

import trio
from cyclopts import Parameter
from rich.console import Console

from vgpu_emu.cli.choices import known, named_features
from vgpu_emu.cli.peers_view import show
from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import FOUND, SKIPPED, complain
from vgpu_emu.peers.check.job import Job
from vgpu_emu.peers.check.routes import ROUTES
from vgpu_emu.peers.check.run import Report, check_route, job_name
from vgpu_emu.peers.guest.image import image
from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.get import check_tools, home, present
from vgpu_emu.peers.parts.parts import Parts

PROVES = (
    "An attribute here is the one that the guest's kernel chose and lists in x86/pat_memtype_list, under TCG: what "
    "hardware, or a hypervisor's second stage, would make of it is not seen. For that see: vgpu-emu explain cache"
)


def check(
    *,
    route: Annotated[tuple[str, ...], Parameter(name="--route", negative=())] = (),
    features: str | None = None,
    logs: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Boot a real Linux in a real QEMU on each device, and compare what it finds with what we say.

    Each guest takes 5 to 30 seconds. A program that is compiled for it asks Linux's driver for everything: host blobs
    with every map_info in a BAR above and below 4 GiB, bytes both ways, fences, rings, export and import, UUIDs, a mode
    with page flips and a cursor. Before that the parts are needed: python -m peers get

    Exit code 0 if all is as expected, 1 if something differs, 77 if the parts are not there.

    Examples:

        python -m peers check

        python -m peers check --route vfio-user --logs /tmp/logs

        python -m peers check --route vhost-user --features edid --json

    Parameters
    ----------
    route
        Only these (repeatable): virtio-gpu-pci, QEMU's own device; vhost-user-gpu-pci, QEMU's own back-end in C;
        vfio-user, vhost-user, vhost-user-display: our servers.
    features
        What our servers offer, as vgpu-emu serve takes it: edid,resource_blob for example; otherwise everything.
    logs
        Where everything is kept that QEMU, Linux and the servers said; otherwise beside the parts.
    json_
        One JSON object instead of tables.
    """
    routes = [ROUTES[known("route", name, ROUTES)] for name in dict.fromkeys(route)] or list(ROUTES.values())
    offered = named_features(features)
    try:
        check_tools()
        parts = present()
        guest = image(parts, home() / "image")
    except PartsError as error:
        complain(f"skipped: {printable(str(error))}")
        return SKIPPED
    folder = (logs or home() / "logs").absolute()
    jobs = [
        Job(one, bar, parts, guest, folder / job_name(one, bar), offered if one.ours else None)
        for one in routes
        for bar in one.placements
    ]
    reports = trio.run(_check_all, jobs)
    if json_:
        print(json.dumps(_fields(reports, parts)))
    else:
        show(reports, parts.release, PROVES, Console())
    return 0 if all(report.good for report in reports) else FOUND


async def _check_all(jobs: list[Job]) -> list[Report]:
    """One after the other: a guest needs a processor of its own."""
    reports = []
    for number, job in enumerate(jobs, 1):
        complain(f"guest {number} of {len(jobs)}: {job.route.name}{f', BAR {job.bar.value}' if job.bar else ''}")
        reports.append(await check_route(job))
    return reports


def _fields(reports: list[Report], parts: Parts) -> dict[str, Any]:
    return {
        "schema": 1,
        "linux": parts.release,
        "proves": PROVES,
        "good": all(report.good for report in reports),
        "reports": [
            {
                "route": report.route.name,
                "bar": report.bar.value if report.bar else None,
                "good": report.good,
                "logs": str(report.logs),
                "rows": [{**row._asdict(), "outcome": row.outcome.value} for row in report.rows],
            }
            for report in reports
        ],
    }
