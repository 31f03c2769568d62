"""From packages to a prefix: hashes compared, archives unpacked into a folder that appears when it is whole."""

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from vgpu_emu.peers.parts.apt import Package, Say
from vgpu_emu.peers.parts.errors import PartsError

#: of these packages only some files are wanted: name -> patterns of tar
_WANTED = {
    "linux-modules-": ("./usr/lib/modules/*/kernel/drivers/gpu/drm/*", "./usr/lib/modules/*/kernel/drivers/virtio/*"),
    "qemu-system-gui": ("./usr/lib/qemu/vhost-user-gpu",),
}
#: names the packages that a prefix was made of; written last
MANIFEST = "manifest.json"


def unpack(packages: Sequence[Package], archives: Path, prefix: Path, say: Say) -> None:
    """Make `prefix` of the packages' files. Raises PartsError if one is missing, or is not what the index says.

    An earlier prefix is replaced, and an attempt that was interrupted is thrown away.
    """
    growing = prefix.with_name(f"{prefix.name}.partial")
    shutil.rmtree(growing, ignore_errors=True)
    growing.mkdir(parents=True)
    for number, package in enumerate(packages, 1):
        say(f"unpacking: {number} of {len(packages)} packages")
        archive = archives / package.file
        check(archive, package)
        _extract(archive, growing)
    (growing / MANIFEST).write_bytes(msgspec.json.encode(packages))
    shutil.rmtree(prefix, ignore_errors=True)
    growing.rename(prefix)


def manifest(prefix: Path) -> list[Package]:
    """What a prefix was made of; empty if there is none."""
    try:
        return msgspec.json.decode((prefix / MANIFEST).read_bytes(), type=list[Package])
    except (FileNotFoundError, msgspec.MsgspecError):
        return []


def check(archive: Path, package: Package) -> None:
    """Raises PartsError unless the file has the size and the hash that the index says; a wrong one is removed."""
    try:
        size = archive.stat().st_size
        with archive.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise PartsError(f"{package.file}: {error.strerror}; get the parts again") from None
    if (size, digest) == (package.size, package.sha256):
        return
    archive.unlink()
    was = f"{size} bytes of {package.size}" if size != package.size else f"SHA256 {digest}, not {package.sha256}"
    raise PartsError(f"{package.file} is not what the signed index says: {was}; removed, get the parts again")


def _extract(archive: Path, target: Path) -> None:
    patterns = next((wanted for name, wanted in _WANTED.items() if archive.name.startswith(name)), ())
    selection = ["--wildcards", *patterns] if patterns else []
    unpacked = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with unpacked:
        tar = ["tar", "-x", "--no-same-owner", "-C", str(target), *selection]
        written = subprocess.run(tar, stdin=unpacked.stdout, capture_output=True, text=True, check=False)
    if unpacked.returncode != 0 or written.returncode != 0:
        raise PartsError(f"{archive.name} cannot be unpacked: {(written.stderr or 'damaged').splitlines()[0]}")
