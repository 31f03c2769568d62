"""What a guest shows, as PNG files: ``scanout-0.png`` and so on, each always the newest picture of its scanout."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.picture import Picture, scanout_picture

#: seconds between two pictures of a scanout: to compress one takes a good part of that
PAUSE = 0.25


class Screenshots:
    """Writes into `directory`, which exists. failed: told, once, why a picture could not be written."""

    def __init__(self, directory: Path, device: Device, failed: Callable[[OSError], None]) -> None:
        self._directory = directory
        self._device = device
        self._failed = failed
        #: scanout -> its updates and what it shows, when it was last written
        self._written: dict[int, object] = {}

    async def run(self) -> None:
        """A task beside the guest's: whatever is new is written, at most every PAUSE."""
        while True:
            await trio.sleep(PAUSE)
            for path, picture in self._new():
                await trio.to_thread.run_sync(partial(self._write, path, picture))

    def flush(self) -> None:
        """Write what is new at once: it will soon be gone."""
        for path, picture in self._new():
            self._write(path, picture)

    def _new(self) -> list[tuple[Path, Picture]]:
        found = []
        for number, scanout in enumerate(self._device.displays.scanouts):
            state = (scanout.updates, scanout.shown)
            if scanout.shown is None or self._written.get(number) == state:
                continue
            self._written[number] = state
            picture = scanout_picture(self._device, number)
            if picture is not None:
                found.append((self._directory / f"scanout-{number}.png", picture))
        return found

    def _write(self, path: Path, picture: Picture) -> None:
        """The file is always a whole picture."""
        partial_path = path.with_suffix(".part")
        try:
            partial_path.write_bytes(picture.png())
            os.replace(partial_path, path)
        except OSError as error:
            self._failed(error)
