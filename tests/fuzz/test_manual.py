"""docs/fuzzing.md: its examples of defects are found, and its table is that of the oracles."""

import re
from pathlib import Path

import pytest

from vgpu_emu.fuzz.defects.loading import load
from vgpu_emu.fuzz.oracles import ORACLES
from vgpu_emu.fuzz.score import Hunt, hunt
from vgpu_emu.fuzz.trial import Conditions

MANUAL = (Path(__file__).parents[2] / "docs" / "fuzzing.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "oracles"),
    [("Lossy", {"I6", "I20"}), ("Forgetful", {"I7", "I9"}), ("Cached", {"I1"}), ("Stale", {"I13", "I30"})],
)
def test_example_is_found(name: str, oracles: set[str], tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", MANUAL, re.DOTALL)
    (tmp_path / "mine.py").write_text(code)
    caught = hunt(Hunt(name, 1, 600, Conditions(defects=(load(f"{tmp_path / 'mine.py'}:{name}"),))))
    assert caught is not None
    assert caught.oracle in oracles
    assert caught.length <= 8


def test_table_has_every_oracle() -> None:
    for oracle in ORACLES.values():
        assert f"| {oracle.name} | {oracle.title} | {oracle.sentence} | {', '.join(oracle.targets)} |" in MANUAL
