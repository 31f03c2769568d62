"""Oracles fire on what is planted, and on nothing that a device may do; defects come by name or from a file."""

from pathlib import Path
from random import Random

import pytest

from vgpu_emu.fuzz.defects import BENIGN
from vgpu_emu.fuzz.defects.loading import DefectError, load
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.trial import Conditions, Found, explore

#: oracle -> a defect that makes it fire
FIRES = {
    "I1": "P12",
    "I2": "P14",
    "I3": "P11",
    "I6": "RingFlagLost",
    "I9": "P06",
    "I10": "ResetKeepsContexts",
    "I11": "P16",
    "I12": "ReferenceKept",
    "I13": "P15",
    "I14": "P10",
    "I16": "LastEntryMisplaced",
    "I18": "P01",
    "I19": "AnsweredTwice",
    "I20": "P04",
    "I21": "RingInFiveBits",
    "I22": "P02",
}
#: mutants whose occasion so few programs may not have
_RARE = frozenset({"B1", "B3", "B6", "B7", "B16"})
#: programs of which one must find it; the first that does is among the first few hundred
PROGRAMS = 1000


def found_by(name: str, programs: int, oracle: str = "") -> Found | None:
    """The first finding, of this oracle if one is named."""
    conditions = Conditions(defects=(load(name),))
    for number in range(programs):
        rng = Random(f"defects/{number}")
        swarm = Swarm(rng)
        found = explore(swarm, swarm.setup, rng.choice((20, 40)), conditions).found
        if found is not None and oracle in {"", found.oracle}:
            return found
    return None


@pytest.mark.parametrize(("oracle", "name"), FIRES.items())
def test_oracle_fires(oracle: str, name: str) -> None:
    assert found_by(name, PROGRAMS, oracle) is not None


@pytest.mark.parametrize("name", ["P03", "P05", "P15"])
def test_planted_defect_is_found(name: str) -> None:
    assert found_by(name, PROGRAMS) is not None


@pytest.mark.parametrize("name", BENIGN)
def test_benign_mutant_is_silent(name: str) -> None:
    before = BENIGN[name].triggered
    assert found_by(name, 120) is None
    assert BENIGN[name].triggered > before or name in _RARE


# -- files


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return str(path)


def test_defect_comes_from_a_file(tmp_path: Path) -> None:
    path = written(tmp_path, "class Mine:\n    def device(self, device):\n        return device\n")
    assert load(f"{path}:Mine").__name__ == "Mine"


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("class Other:\n    def link(self, link): return link\n", "Mine", "has no Mine; it has Other"),
        ("class Mine: pass\n", "Mine", "none of the methods renderer, device"),
        ("Mine = 3\n", "Mine", "is no class"),
        ("import nothing_of_this_name\n", "Mine", "could not be loaded: ModuleNotFoundError"),
        ("class Mine:\n    def __init__(self): raise ValueError('no')\n    def link(self, x): pass\n", "Mine", "made"),
        ("def broken(:\n", "Mine", "could not be loaded: SyntaxError"),
    ],
)
def test_wrong_file_is_told_in_a_line(tmp_path: Path, text: str, name: str, says: str) -> None:
    with pytest.raises(DefectError, match=says) as told:
        load(f"{written(tmp_path, text)}:{name}")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("wanted", "says"), [("P99", "no defect 'P99'"), ("missing.py:Mine", "no Python file")])
def test_unknown_defect_is_told(wanted: str, says: str) -> None:
    with pytest.raises(DefectError, match=says):
        load(wanted)
