"""Messages that the tests of ``vgpu-emu decode`` read, and what became of a run of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from vgpu_emu.cli import main
from vgpu_wire.blob import ResourceMapBlob, RespMapInfo

MAP = ResourceMapBlob(resource_id=5, offset=0x1000)
MAP_HEX = MAP.build().hex()
ANSWER = RespMapInfo(map_info=3)


class Run:
    """What the command printed, and how it ended."""

    def __init__(self, code: int, captured: tuple[str, str]) -> None:
        self.code = code
        self.out, self.err = captured

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def decoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """A fixture: run decode on a file with this content."""

    def run(content: bytes | str, *options: str) -> Run:
        path = tmp_path / "input"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        capsys.readouterr()
        return Run(main(["decode", *options, str(path)]), capsys.readouterr())

    return run
