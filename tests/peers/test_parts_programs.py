"""The real programs started by hand: with a loader in the place of Debian's that says what it was given."""

import subprocess
from pathlib import Path

import pytest

from vgpu_emu.peers.parts.parts import Parts
from vgpu_emu.peers.parts.programs import write_programs


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    found = Parts(tmp_path / "the parts")
    loader = found.libraries / "ld-linux-x86-64.so.2"
    loader.parent.mkdir(parents=True)
    loader.write_text('#!/bin/sh\nprintf "%s\\n" "$QEMU_MODULE_DIR" "$@"\n')
    loader.chmod(0o755)
    return found


def test_scripts_start_the_programs_with_all_they_need(parts: Parts, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    write_programs(parts, folder)
    programs = write_programs(parts, folder)
    given = ["-device", '{"driver": "vfio-user-pci"}', "$HOME *"]
    said = [subprocess.check_output([program, *given], text=True).splitlines() for program in programs]
    modules = parts.environment["QEMU_MODULE_DIR"]
    assert said == [[modules, *parts.qemu[1:], *given], [modules, *parts.vhost_user_gpu[1:], *given]]
    assert sorted(path.name for path in folder.iterdir()) == ["qemu-system-x86_64", "vhost-user-gpu"]
