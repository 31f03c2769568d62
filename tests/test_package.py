"""The package's front door: light to open, and every name behind it."""

import subprocess
import sys

import pytest

import vgpu_emu


@pytest.mark.parametrize("name", vgpu_emu.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(vgpu_emu, name).__name__ == name if name != "PROFILES" else "strict" in vgpu_emu.PROFILES
    assert name in dir(vgpu_emu)


def test_what_is_not_there_is_said_so() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'open_window'"):
        getattr(vgpu_emu, "open_window")  # noqa: B009 - the type checker knows it too


def test_import_loads_nothing_before_it_is_used() -> None:
    program = (
        "import sys, vgpu_emu\n"
        "assert 'trio' not in sys.modules and 'construct' not in sys.modules\n"
        "vgpu_emu.open_machine\n"
        "heavy = {'numpy', 'hypothesis', 'jinja2', 'trio.testing', 'rich', 'cyclopts', 'pytest'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
