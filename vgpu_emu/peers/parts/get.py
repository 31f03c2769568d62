"""Getting the parts: which packages, from which archive, into which folder."""

import fcntl
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from vgpu_emu.peers.parts.apt import KEYRING, Apt, Say, archives
from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.parts import Parts
from vgpu_emu.peers.parts.unpack import manifest, unpack

#: the suite that has QEMU 11.1 and Linux 7.2
SUITE = "forky"
#: moves the folder of the parts
VARIABLE = "VGPU_EMU_PEERS"
_QEMU = ("qemu-system-x86", "qemu-system-modules-opengl", "libvirglrenderer1", "libgbm1", "libepoxy0")
_GUEST = ("busybox-static", "linux-libc-dev")
#: has vhost-user-gpu, and needs a desktop that vhost-user-gpu does not
_GUI = ("qemu-system-gui",)
_KERNEL = "linux-image-amd64"
_IGT = ("igt-gpu-tools-tests",)
#: program -> Debian's package of it
_TOOLS = {"apt-get": "apt", "dpkg-deb": "dpkg", "gpgv": "gpgv", "tar": "tar", "zstd": "zstd", "gcc": "gcc"}


def home() -> Path:
    """Where the parts are kept: $VGPU_EMU_PEERS, or else vgpu-emu/peers in the user's cache (XDG_CACHE_HOME)."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).absolute()
    # the XDG specification: a relative path is to be ignored
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "vgpu-emu" / "peers"


def present(folder: Path | None = None) -> Parts:
    """The parts that are there. Raises PartsError if they are not."""
    folder = folder or home()
    prefix, igt = folder / "parts", folder / "igt"
    if not manifest(prefix):
        raise PartsError(f"no real parts in {folder}: get them with python -m peers get")
    return Parts(prefix, igt if manifest(igt) else None)


def get(say: Say, *, igt: bool = False, refresh: bool = False, archive: str | None = None) -> Parts:
    """The parts, got if they are not there, or if `refresh` and the archive has other versions now.

    igt: IGT too, 80 MB more. archive: the address of a Debian archive; None: one that the system's apt is configured to
    use. Raises PartsError if a tool is missing, the archive cannot be reached, or something is not what was signed.
    """
    check_tools()
    folder = home()
    with _alone(folder, say):
        complete = bool(manifest(folder / "parts")) and (not igt or bool(manifest(folder / "igt")))
        if refresh or not complete:
            _fetch(folder, igt, archive, say)
    return present(folder)


def check_tools() -> None:
    """Raises PartsError naming every program that is missing, and the packages to install."""
    if platform.machine() != "x86_64":
        raise PartsError(f"the real parts are programs for x86-64, and this machine is {platform.machine()}")
    missing = {program: package for program, package in _TOOLS.items() if shutil.which(program) is None}
    if not KEYRING.is_file():
        missing[str(KEYRING)] = "debian-archive-keyring"
    if "gcc" not in missing and not _has_static_libc():
        missing["libc.a"] = "libc6-dev"
    if missing:
        packages = " ".join(dict.fromkeys(missing.values()))
        raise PartsError(f"missing on this system: {', '.join(missing)}; apt-get install {packages}")


def _has_static_libc() -> bool:
    asked = subprocess.run(["gcc", "-print-file-name=libc.a"], capture_output=True, text=True, check=False)
    return "/" in asked.stdout


def _fetch(folder: Path, igt: bool, archive: str | None, say: Say) -> None:
    apt = _reached(folder / "apt", archive, say)
    kernel = _kernel_packages(apt)
    _bring(apt, (*_QEMU, *_GUEST, *kernel), _GUI, folder / "parts", say)
    if igt:
        _bring(apt, _IGT, (), folder / "igt", say)


def _reached(folder: Path, archive: str | None, say: Say) -> Apt:
    """apt with the suite's index, of the first archive that has it."""
    candidates = [archive] if archive else archives()
    complaint = "apt is not configured to use any archive"
    for candidate in candidates:
        say(f"index of {SUITE}")
        apt = Apt(folder, candidate, SUITE)
        try:
            apt.update()
        except PartsError as error:
            # the archive of security updates has no such suite, nor have other projects'
            complaint = str(error)
        else:
            return apt
    raise PartsError(f"no archive of Debian has {SUITE}: {complaint}")


def _kernel_packages(apt: Apt) -> list[str]:
    """The kernel's image and its modules, without what would install them."""
    image = [name for name in apt.depends(_KERNEL) if name.startswith("linux-image-")]
    if not image:
        raise PartsError(f"{_KERNEL} of {apt.suite} depends on no image")
    return [name for name in apt.depends(image[0]) if name.startswith(("linux-binary-", "linux-modules-"))]


def _bring(apt: Apt, names: tuple[str, ...], alone: tuple[str, ...], prefix: Path, say: Say) -> None:
    """Download and unpack, unless the prefix was made of just these packages."""
    packages = [*apt.closure(names), *apt.alone(alone)]
    if packages != manifest(prefix):
        apt.download(names, alone, say)
        unpack(packages, apt.archives, prefix, say)


@contextmanager
def _alone(folder: Path, say: Say) -> Iterator[None]:
    """One process at a time; another one's parts are what this one finds afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        while not _locked(lock):
            say("waiting for another process that gets them")
            time.sleep(0.2)
        yield


def _locked(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
