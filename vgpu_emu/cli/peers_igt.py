"""``python -m peers igt``: the tests of Linux's graphics drivers on our device, beside QEMU's own."""

import json
from pathlib import Path
from typing import Annotated

import trio
from cyclopts import Parameter
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vgpu_emu.cli.choices import known
from vgpu_emu.cli.progress import teller
from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import FOUND, SKIPPED, UsageError, complain
from vgpu_emu.peers.check.boot import BootError
from vgpu_emu.peers.check.igt import Comparison, Verdict, compare, run_igt
from vgpu_emu.peers.check.job import Job
from vgpu_emu.peers.check.routes import ROUTES, Route
from vgpu_emu.peers.guest.image import Image, igt_image
from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.get import check_tools, home, present
from vgpu_emu.peers.parts.parts import Parts

_BASELINE = ROUTES["virtio-gpu-pci"]
_STYLES = {Comparison.GOOD: "green", Comparison.OURS: "bold red", Comparison.BOTH: "yellow", Comparison.BASELINE: "dim"}


def igt(
    *,
    route: str = "vfio-user",
    logs: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Run tests of IGT in a real Linux on our device and on QEMU's own virtio-gpu-pci, and compare.

    What fails on both is the kernel's doing, or the emulated processor's. It takes 5 to 15 minutes. Before that the
    parts are needed: python -m peers get --igt

    Exit code 0 if nothing fails on our device only, 1 if something does, 77 if the parts are not there.

    Examples:

        python -m peers igt

        python -m peers igt --route vhost-user --json

    Parameters
    ----------
    route
        The way to our device: vfio-user, vhost-user or vhost-user-display.
    logs
        Where everything is kept that QEMU, Linux and the server said; otherwise beside the parts.
    json_
        One JSON object instead of a table.
    """
    chosen = ROUTES[known("route", route, ROUTES)]
    if chosen is _BASELINE:
        raise UsageError(f"{route} is what our device is compared with; --route vfio-user, for example")
    try:
        check_tools()
        parts = present()
        guest = igt_image(parts, home() / "image")
    except PartsError as error:
        complain(f"skipped: {printable(str(error))}")
        return SKIPPED
    folder = (logs or home() / "logs").absolute()
    try:
        baseline, ours = trio.run(_run_both, chosen, parts, guest, folder)
    except BootError as error:
        complain(printable(str(error)))
        return FOUND
    compared = {test: compare(ours[test], baseline[test]) for test in ours}
    if json_:
        tests = {
            test: {
                "ours": ours[test]._asdict(),
                "baseline": baseline[test]._asdict(),
                "comparison": compared[test].value,
            }
            for test in ours
        }
        print(json.dumps({"schema": 1, "route": chosen.name, "linux": parts.release, "tests": tests}))
    else:
        _show(chosen, baseline, ours, compared, Console())
    return FOUND if Comparison.OURS in compared.values() else 0


async def _run_both(
    route: Route, parts: Parts, guest: Image, logs: Path
) -> tuple[dict[str, Verdict], dict[str, Verdict]]:
    say = teller("igt")
    verdicts = []
    for where in (_BASELINE, route):
        job = Job(where, where.placements[0], parts, guest, logs / f"igt-{where.name}")
        verdicts.append(await run_igt(job, say))
    return verdicts[0], verdicts[1]


def _show(
    route: Route,
    baseline: dict[str, Verdict],
    ours: dict[str, Verdict],
    compared: dict[str, Comparison],
    console: Console,
) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("test", route.name, _BASELINE.name, ""):
        table.add_column(column)
    for test, comparison in compared.items():
        verdict = Text(comparison.value, _STYLES[comparison])
        table.add_row(test, _words(ours[test]), _words(baseline[test]), verdict)
    console.print(table)
    for test, ended in ours.items():
        if ended.failed:
            words = f"{test}, {compared[test].value}: {', '.join(ended.failed)}"
            console.print(Text(words, _STYLES[compared[test]]), soft_wrap=True)
    console.print(f"The baseline is QEMU's own {_BASELINE.name}: what fails there too is not our device's doing.")


def _words(verdict: Verdict) -> str:
    count = verdict.passed + len(verdict.failed)
    again = f", try {verdict.tries}" if verdict.tries > 1 and not verdict.bad else ""
    return f"{verdict.result}, {verdict.passed} of {count}{again}" if count else f"{verdict.result}{again}"
