"""What a guest shows, as PNG files: ``scanout-0.png`` and so on, each always the newest picture of its scanout."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from threading import Lock

import trio

from vgpu_emu.peers.backend import Backend
from vgpu_emu.vmm.picture import Picture, scanout_picture
from vgpu_wire.display import Rect

#: of a picture: more than any screen has, but no more than can be had while a guest waits
MAX_PIXELS, MAX_LINES = 1 << 25, 1 << 14
#: seconds between two pictures of a scanout: to compress one takes a good part of that
PAUSE = 0.25


class Screenshots:
    """Writes into `directory`, which exists. failed: told, once, why a picture could not be written."""

    def __init__(self, directory: Path, backend: Backend, failed: Callable[[OSError], None]) -> None:
        self._directory = directory
        self._device = backend.device
        self._maps = backend.maps
        self._failed = failed
        #: scanout -> its updates and what it shows, when it was last looked at
        self._seen: dict[int, object] = {}
        self._order = count()
        #: file -> the order of what is in it
        self._newest: dict[Path, int] = {}
        self._given_up = False
        self._lock = Lock()

    async def run(self) -> None:
        """A task beside the guest's: whatever is new is written, at most every PAUSE."""
        while True:
            await trio.sleep(PAUSE)
            for shot in self._new():
                # what was looked at is not looked at again
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(self._write, *shot)

    def flush(self) -> None:
        """Write what is new at once: it will soon be gone."""
        for shot in self._new():
            self._write(*shot)

    def _new(self) -> Iterator[tuple[Path, int, Picture]]:
        """One at a time: what has not been asked for yet stays new."""
        for number in range(len(self._device.displays.scanouts)):
            scanout = self._device.displays.scanouts[number]
            state = (scanout.updates, scanout.shown)
            if scanout.shown is None or self._seen.get(number) == state:
                continue
            self._seen[number] = state
            picture = self._picture(number, scanout.shown.rect)
            if picture is not None:
                yield self._directory / f"scanout-{number}.png", next(self._order), picture

    def _picture(self, number: int, rect: Rect) -> Picture | None:
        """None: there is nothing to see, or too much, or its memory is gone."""
        if rect.height > MAX_LINES or rect.width * rect.height > MAX_PIXELS:
            return None
        self._maps.look_at_sizes()
        try:
            return scanout_picture(self._device, number)
        except OSError:
            return None

    def _write(self, path: Path, order: int, picture: Picture) -> None:
        """The file is always a whole picture, and never an older one than before. For any thread."""
        data = picture.png()
        with self._lock:
            if self._given_up or order < self._newest.get(path, 0):
                return
            self._newest[path] = order
            part = path.with_suffix(".part")
            try:
                part.write_bytes(data)
                os.replace(part, path)
            except OSError as error:
                self._given_up = True
                self._failed(error)
