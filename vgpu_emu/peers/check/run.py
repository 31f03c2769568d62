"""One route: its server, QEMU and Linux are started, watched and judged."""

import sys
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import trio

from vgpu_emu.attributes.mtrr import Bar
from vgpu_emu.peers.check.blobs import BLOBS
from vgpu_emu.peers.check.boot import BootError, boot, command, listening, process
from vgpu_emu.peers.check.findings import Findings, parse
from vgpu_emu.peers.check.memory import answer_greeting
from vgpu_emu.peers.check.pictures import LOOKS, SHOULD_SHOW, Picture, read_png, read_ppm
from vgpu_emu.peers.check.qmp import screendump
from vgpu_emu.peers.check.routes import RAM, Route, region_size
from vgpu_emu.peers.check.rows import Outcome, Row, judge
from vgpu_emu.peers.guest.image import Image
from vgpu_emu.peers.parts.parts import Parts

#: seconds until a server has written the picture that the guest has just shown, at most
_PICTURE = 10.0


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
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vgpu-peers-") as private:
        watcher = Watcher(route, folder, Path(private))
        try:
            async with _server(route, bar, parts, Path(private), folder) as server:
                watcher.server = server
                qemu = command(
                    parts.qemu,
                    route.qemu(Path(private) / "gpu"),
                    image,
                    RAM,
                    f"VGPU_BLOBS={_wishes(route)}",
                    watcher.qmp,
                )
                found = Findings(await boot(qemu, parts.environment, folder, watcher.listen))
        except BootError as error:
            rows = [Row("guest", "boots and comes to its end", "yes", str(error), Outcome.DIFFERS)]
        else:
            rows = judge(found, route.renders, bar, watcher.screens)
    return Report(route, bar, rows, folder)


def _wishes(route: Route) -> str:
    return ",".join(blob.wish for blob in BLOBS) if route.renders else ""


@asynccontextmanager
async def _server(
    route: Route, bar: Bar | None, parts: Parts, private: Path, logs: Path
) -> AsyncGenerator[trio.Process | None, None]:
    """The route's server, listening; None where QEMU needs none."""
    if route.server == "none":
        yield None
        return
    socket, log = private / "gpu", logs / "server.log"
    theirs = [*parts.vhost_user_gpu, f"--socket-path={socket}"]
    arguments = _serve(route, bar, socket, logs) if route.ours else theirs
    async with process(arguments, log) as running:
        await listening(running, socket, log)
        yield running


def _serve(route: Route, bar: Bar | None, socket: Path, logs: Path) -> list[str]:
    """The command line of our own server."""
    arguments = [sys.executable, "-m", "vgpu_emu", "serve", route.server, "--socket", str(socket)]
    arguments += ["--screenshot-dir", str(logs), "--capture", str(logs / "capture.jsonl")]
    if bar is not None:
        arguments += ["--host-visible", region_size(bar)]
    for blob in BLOBS:
        if blob.exporter is None:
            arguments += ["--blob-id", f"{blob.blob_id}={blob.map_info.name.lower()}"]
    return arguments


class Watcher:
    """Looks at the host's side whenever the guest's program says that it waits."""

    def __init__(self, route: Route, logs: Path, private: Path) -> None:
        self._route = route
        self._logs = logs
        self.qmp = private / "qmp"
        self.server: trio.Process | None = None
        #: what is to be seen at two times, once it was looked at
        self.screens = dict.fromkeys(SHOULD_SHOW, "never shown")
        self._greeting = b""

    async def listen(self, line: str) -> bytes:
        finding = parse(line)
        if finding is None:
            return b""
        if finding.name == "greeting":
            self._greeting = finding["text"].encode()
        if finding.name != "watch":
            return b""
        if finding["what"] == "greeting" and self.server is not None:
            answer_greeting(self.server.pid, self._greeting)
        elif finding["what"] in self.screens:
            name = finding["what"]
            self.screens[name] = await self._look_at_screen(name, LOOKS[name])
        return b"\n"

    async def _look_at_screen(self, name: str, look: Callable[[Picture], str]) -> str:
        """What is to be seen, as soon as that is what should be; a server writes a picture when it has time for it."""
        seen = "no picture"
        with trio.move_on_after(_PICTURE):
            while seen != SHOULD_SHOW[name]:
                picture = await self._picture(name)
                seen = look(picture) if picture else seen
                await trio.sleep(0.1)
        return seen

    async def _picture(self, name: str) -> Picture | None:
        """The screen as it is, kept in a file of this name."""
        try:
            if self._route.screen == "server":
                data = (self._logs / "scanout-0.png").read_bytes()
                (self._logs / f"{name}.png").write_bytes(data)
                return read_png(data)
            target = self._logs / f"{name}.ppm"
            await screendump(self.qmp, target)
            return read_ppm(target.read_bytes())
        except (OSError, ValueError):
            return None
