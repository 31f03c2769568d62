"""IGT, the tests of Linux's graphics drivers, in a guest: those that a virtio-gpu can run, and their libraries."""

import subprocess
from pathlib import Path

from vgpu_emu.peers.guest.cpio import Initramfs
from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.parts import Parts

_TESTS_AT = "usr/libexec/igt-gpu-tools"
_LOADER = "ld-linux-x86-64.so.2"
#: tests, or subtests, that need neither another GPU's driver nor hardware that computes checksums of a picture
TESTS = (
    "core_auth",
    "core_debugfs",
    "core_getclient",
    "core_getstats",
    "core_getversion",
    "core_setmaster",
    "core_setmaster_vs_auth",
    "core_sysfs",
    "drm_read",
    "drm_virtgpu",
    "dumb_buffer",
    "fbdev",
    "kms_addfb_basic",
    "kms_atomic",
    "kms_cursor_legacy@forked-move",
    "kms_dirtyfb",
    "kms_flip@basic-flip-vs-dpms",
    "kms_flip@plain-flip-ts-check",
    "kms_flip_event_leak",
    "kms_getfb",
    "kms_invalid_mode",
    "kms_lease",
    "kms_prop_blob",
    "kms_properties",
    "kms_rmfb",
    "kms_setmode",
    "kms_sysfs_edid_timing",
    "kms_vblank",
    "syncobj_basic",
)


def add_tests(parts: Parts, made: Initramfs, _folder: Path) -> None:
    """The tests, every library that they load, and the list of them. Raises PartsError if IGT is not there."""
    if parts.igt is None:
        raise PartsError("no IGT among the real parts: get it with python -m peers get --igt")
    libraries: dict[str, Path] = {}
    for name in dict.fromkeys(test.partition("@")[0] for test in TESTS):
        program = parts.igt / _TESTS_AT / name
        made.add(f"/igt/{name}", program.read_bytes(), 0o755)
        libraries |= _libraries(parts.igt, program)
    for name, path in libraries.items():
        made.add(f"/igt/{name}", path.read_bytes(), 0o755)
    made.add_link(f"/lib64/{_LOADER}", f"/igt/{_LOADER}")
    made.add("/tests", "\n".join(TESTS).encode())


def _libraries(prefix: Path, program: Path) -> dict[str, Path]:
    """What a program loads, by name, as the loader of the prefix itself finds it."""
    folder = prefix / "usr/lib/x86_64-linux-gnu"
    command = [str(folder / _LOADER), "--library-path", str(folder), "--list", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PartsError(f"{program.name} of IGT cannot be loaded: {done.stderr.strip()}")
    words = [line.split() for line in done.stdout.splitlines() if "=>" in line]
    return {Path(line[0]).name: Path(line[2]) for line in words}
