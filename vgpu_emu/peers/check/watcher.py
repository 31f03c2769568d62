"""Looking at the host's side while the guest waits: its memory, and the picture on the screen."""

from pathlib import Path

import trio

from vgpu_emu.peers.check.findings import parse
from vgpu_emu.peers.check.job import Host
from vgpu_emu.peers.check.memory import answer_greeting
from vgpu_emu.peers.check.pictures import LOOKS, SHOULD_SHOW, Picture, read_png, read_ppm
from vgpu_emu.peers.check.qmp import screendump
from vgpu_emu.peers.check.routes import Route

#: seconds until a server has written the picture that the guest has just shown, at most
_PICTURE = 10.0
#: seconds between two looks: longer than a server takes between two pictures
_PAUSE = 0.4


class Watcher:
    """Looks at the host's side whenever the guest's program says that it waits."""

    def __init__(self, route: Route, logs: Path) -> None:
        self._route = route
        self._logs = logs
        #: what is to be seen at two times, once it was looked at
        self.screens = dict.fromkeys(SHOULD_SHOW, "never shown")
        self._greeting = b""

    async def listen(self, host: Host, line: str) -> bytes:
        finding = parse(line)
        if finding is None:
            return b""
        if finding.name == "greeting":
            self._greeting = finding["text"].encode()
        if finding.name != "watch":
            return b""
        if finding["what"] == "greeting" and host.server is not None:
            answer_greeting(host.server.pid, self._greeting)
        elif finding["what"] in self.screens:
            name = finding["what"]
            self.screens[name] = await self._look_at_screen(host, name)
        return b"\n"

    async def _look_at_screen(self, host: Host, name: str) -> str:
        """What is to be seen, as soon as it is what should be and stays; a server writes a picture when it has time."""
        seen, before, picture = "no picture", None, None
        with trio.move_on_after(_PICTURE):
            while picture is None or picture != before or seen != SHOULD_SHOW[name]:
                before, picture = picture, await self._picture(host, name)
                seen = LOOKS[name](picture) if picture else seen
                await trio.sleep(_PAUSE)
        return seen

    async def _picture(self, host: Host, name: str) -> Picture | None:
        """The screen as it is, kept in a file of this name."""
        try:
            if self._route.screen == "server":
                data = (self._logs / "scanout-0.png").read_bytes()
                (self._logs / f"{name}.png").write_bytes(data)
                return read_png(data)
            target = self._logs / f"{name}.ppm"
            await screendump(host.qmp, target)
            return read_ppm(target.read_bytes())
        except (OSError, ValueError):
            return None
