"""Oracles fire on what is planted, and on nothing that a device may do; defects come by name or from a file."""

import sys
from pathlib import Path
from random import Random

import pytest

from vgpu_emu.fuzz.actions import Program, Restart, Send
from vgpu_emu.fuzz.defect import SEAMS, DefectError, Wrapper
from vgpu_emu.fuzz.defects import BENIGN
from vgpu_emu.fuzz.defects.loading import load
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.model.expectation import differs
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.targets import target as target_of
from vgpu_emu.fuzz.trial import DETAIL, Conditions, Found, explore

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


@pytest.mark.parametrize("name", ["P03", "P05"])
def test_planted_defect_is_found(name: str) -> None:
    assert found_by(name, PROGRAMS) is not None


@pytest.mark.parametrize("name", BENIGN)
def test_benign_mutant_is_silent(name: str) -> None:
    before = BENIGN[name].triggered
    assert found_by(name, 120) is None
    assert BENIGN[name].triggered > before


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
        (
            "class Mine:\n    def __init__(self): raise ValueError('no')\n    def link(self, x): pass\n",
            "Mine",
            r"mine.py:Mine: __init__\(\) raised ValueError: no: line 2 of mine.py",
        ),
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


def test_file_without_a_name_tells_its_classes(tmp_path: Path) -> None:
    path = written(tmp_path, "class One:\n    def link(self, link): return link\n\n\nclass Two(One): pass\n")
    for wanted in (path, f"{path}:"):
        with pytest.raises(DefectError, match=r"mine\.py: which class of it\? .*; it has One, Two"):
            load(wanted)


def test_file_imports_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_mine.py").write_text("class Base:\n    def link(self, link): return link\n")
    path = written(tmp_path, "from neighbour_of_mine import Base\n\n\nclass Mine(Base): pass\n")
    before = list(sys.path)
    assert load(f"{path}:Mine").__name__ == "Mine"
    assert sys.path == before


# -- planting

HEAD = "from vgpu_emu.fuzz.defect import Wrapper\n\n\n"
DEFECT = "class Mine:\n    def {seam}(self, live):\n        {body}\n"


@pytest.mark.parametrize("seam", SEAMS)
def test_what_a_method_raises_is_told_with_its_line(seam: str, tmp_path: Path) -> None:
    path = written(tmp_path, DEFECT.format(seam=seam, body="return live.nothing_of_this_name"))
    with pytest.raises(DefectError, match=rf"^mine.py:Mine: {seam}\(\) raised AttributeError: .*: line 3 of mine.py$"):
        load(f"{path}:Mine")


@pytest.mark.parametrize("seam", SEAMS)
def test_method_that_returns_nothing_is_refused(seam: str, tmp_path: Path) -> None:
    path = written(tmp_path, DEFECT.format(seam=seam, body="live"))
    with pytest.raises(DefectError, match=rf"^mine.py:Mine: {seam}\(\) returns None, .*: line 2 of mine.py$"):
        load(f"{path}:Mine")


def test_snapshot_that_is_no_bytes_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, DEFECT.format(seam="snapshot", body="return live.decode()"))
    with pytest.raises(DefectError, match="returns no bytes, but str"):
        load(f"{path}:Mine")


def test_method_that_does_not_return_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgpu_emu.fuzz.defects.loading.SECONDS", 0.02)
    path = written(tmp_path, DEFECT.format(seam="link", body="while True: pass"))
    with pytest.raises(DefectError, match=r"link\(\) raised Finding: I29: .*: line 3 of mine.py"):
        load(f"{path}:Mine")


def test_wrapper_that_is_not_made_whole_is_told(tmp_path: Path) -> None:
    wrapper = "class Part(Wrapper):\n    def __init__(self, live):\n        self.live = live\n\n\n"
    path = written(tmp_path, HEAD + wrapper + DEFECT.format(seam="device", body="return Part(live)"))
    with pytest.raises(DefectError, match=r"Part.__init__ does not call super\(\).__init__\(inner\): line 11 of mine"):
        load(f"{path}:Mine")


LATER = """
class Part(Wrapper):
    def {method}(self, *arguments):
        return {{}}["nothing"]


class Mine:
    def {seam}(self, live):
        return Part(live)
"""


@pytest.mark.parametrize("target", ["core", "machine"])
def test_what_is_raised_later_is_a_finding_that_names_the_line(target: str, tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + LATER.format(seam="device", method="handle"))
    conditions = Conditions(target=target, defects=(load(f"{path}:Mine"),))
    found = target_of(target).run(Program(Setup(), (Send(bytes(24)),)), conditions).found
    assert found is not None
    assert (found.oracle, found.detail) == ("I28", "KeyError: 'nothing' in handle, line 7 of mine.py")


@pytest.mark.parametrize("target", ["core", "machine"])
def test_defect_that_cannot_be_planted_into_the_next_vmm_is_told(target: str, tmp_path: Path) -> None:
    body = "self.count = getattr(self, 'count', 0) + 1\n        return live if self.count == 1 else None"
    path = written(tmp_path, DEFECT.format(seam="device", body=body))
    conditions = Conditions(target=target, defects=(load(f"{path}:Mine"),))
    with pytest.raises(DefectError, match=r"mine.py:Mine: device\(\) returns None"):
        target_of(target).run(Program(Setup(), (Restart(),)), conditions)


# -- wrappers


class Inner:
    count = 5
    size = 7

    def ask(self) -> str:
        return "inner"


class Own(Wrapper):
    """size: of its body; count: set in `__init__`, before there is an inner one."""

    size = 0

    def __init__(self, inner: Inner) -> None:
        self.count = 0
        super().__init__(inner)

    def ask(self) -> str:
        self.count += 1
        self.size += 1
        return "outer"


def test_what_a_wrapper_sets_of_its_own_is_not_the_inner_ones() -> None:
    own = Own(inner := Inner())
    assert (own.ask(), own.count, own.size) == ("outer", 1, 1)
    assert (inner.ask(), inner.count, inner.size) == ("inner", 5, 7)


def test_what_a_wrapper_does_not_have_is_the_inner_ones_to_read_and_to_write() -> None:
    plain = Wrapper(inner := Inner())
    plain.count = 9
    plain.other = 1
    assert (inner.count, plain.count, plain.ask()) == (9, 9, "inner")
    assert not hasattr(inner, "other")


def test_method_of_a_wrapper_is_replaced_there() -> None:
    """A defect inside of another, or of what watches: whoever replaces a method calls the one before."""
    own = Own(inner := Inner())
    before = own.ask
    own.ask = lambda: f"new and {before()}"  # type: ignore[method-assign]
    assert (own.ask(), inner.ask()) == ("new and outer", "inner")


def test_wrapper_says_what_is_read_too_early() -> None:
    class Early(Wrapper):
        def __init__(self, inner: Inner) -> None:
            self.double = 2 * self.count
            super().__init__(inner)

    with pytest.raises(AttributeError, match=r"'count' is read before super\(\).__init__\(inner\)"):
        Early(Inner())


# -- what is said


@pytest.mark.parametrize(("length", "left"), [(DETAIL, DETAIL), (DETAIL + 1, DETAIL), (1 << 20, DETAIL)])
def test_long_detail_is_cut(length: int, left: int) -> None:
    detail = Found("I28", "x" * length, 0).detail
    assert len(detail) == left
    assert detail.endswith("...") == (length > DETAIL)


@pytest.mark.parametrize(
    ("actual", "says"),
    [
        (bytes(200), None),
        (bytes(199), "data has 199 bytes, not 200"),
        (bytes(150) + b"\7" + bytes(49), "data is not as it must be: byte 150 of 200 is 0x07, not 0x00"),
    ],
)
def test_of_bytes_the_first_wrong_one_is_named(actual: bytes, says: str | None) -> None:
    assert differs("data", actual, bytes(200)) == says
