"""Profiles that other packages add through the entry point group ``vgpu_emu.profiles``."""

import re
from pathlib import Path

import pytest

from vgpu_emu.vmm.catalogue import PROFILES, ProfileError, added_profiles, find_profile
from vgpu_emu.vmm.profiles import DEAD, Profile
from vgpu_emu.vmm.rules import Rule

MODULE = """
from vgpu_emu.vmm.profiles import Profile, by_answer
from vgpu_emu.vmm.rules import UNSPEC, Rule

ACME = Profile(name="acme", models="the Acme VMM", differs=by_answer((UNSPEC, (Rule.MAP_KNOWN,))))
LIAR = Profile(name="strict", models="somebody else")
NOTHING = None
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with entry points, as an installer leaves it."""
    points = ["acme = acme_vmm:ACME", "liar = acme_vmm:LIAR", "nothing = acme_vmm:NOTHING", "gone = acme_vmm:GONE"]
    points += ["broken = acme_broken:ACME", "missing = acme_missing:ACME", "crosvm = acme_vmm:ACME"]
    dist = tmp_path / "acme_vmm-1.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-vmm\nVersion: 1.0\n", encoding="utf-8")
    (dist / "entry_points.txt").write_text("\n".join(["[vgpu_emu.profiles]", *points]) + "\n", encoding="utf-8")
    (tmp_path / "acme_vmm.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "acme_broken.py").write_text("raise RuntimeError('out of\\norder')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("installed")
def test_profile_of_another_package_is_found_by_its_name() -> None:
    profile = find_profile("acme")
    assert (profile.name, profile.models, profile.correct) == ("acme", "the Acme VMM", False)


@pytest.mark.usefixtures("installed")
def test_profiles_that_are_added_are_listed_without_being_loaded() -> None:
    assert added_profiles() == ["acme", "broken", "gone", "liar", "missing", "nothing"]


@pytest.mark.usefixtures("installed")
def test_no_package_replaces_a_profile_of_the_emulator() -> None:
    assert find_profile("crosvm") is PROFILES["crosvm"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("broken", "profile 'broken' (acme_broken:ACME) cannot be loaded: RuntimeError: out of order"),
        ("missing", "profile 'missing' (acme_missing:ACME) cannot be loaded: ModuleNotFoundError: No module named"),
        ("gone", "profile 'gone' (acme_vmm:GONE) cannot be loaded: AttributeError: module 'acme_vmm' has no"),
        ("nothing", "profile 'nothing' (acme_vmm:NOTHING) is NoneType, no Profile"),
        ("liar", "profile 'liar' (acme_vmm:LIAR) calls itself 'strict'"),
    ],
)
def test_broken_profile_is_an_error_of_one_line_that_names_it(name: str, why: str) -> None:
    with pytest.raises(ProfileError) as error:
        find_profile(name)
    assert str(error.value).startswith(why)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("installed")
def test_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ProfileError, match=r"^no profile 'qemu'; there are acme, .*crosvm, .*vhost-user-gpu$"):
        find_profile("qemu")


def test_example_of_the_documentation_is_a_profile() -> None:
    page = Path(__file__).parents[2] / "docs" / "profiles.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)
    profile = names["ACME"]
    assert isinstance(profile, Profile)
    assert profile.verdict(Rule.UNMAP_MAPPED) is DEAD
    assert not profile.correct
