"""The guest's image: kernel and initramfs, made of the parts and of the program compiled with the guest's headers."""

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vgpu_emu.peers.guest.cpio import Initramfs
from vgpu_emu.peers.guest.igt import TESTS, add_tests
from vgpu_emu.peers.guest.kernel import vmlinux
from vgpu_emu.peers.guest.modules import with_needs
from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.parts import Parts

_PROGRAM = Path(__file__).parent / "program"
_GCC = ("gcc", "-std=gnu17", "-D_GNU_SOURCE", "-static", "-O2", "-Wall", "-Wextra")


@dataclass(frozen=True)
class Image:
    """What QEMU boots."""

    kernel: Path
    initramfs: Path


def image(parts: Parts, folder: Path) -> Image:
    """A guest that runs the program, in `folder`; made if it is not there as these parts and sources would make it.

    Raises PartsError.
    """
    return _made(parts, folder, "probe", _add_program)


def rates_image(parts: Parts, folder: Path) -> Image:
    """A guest that runs the program for its rates only. Raises PartsError."""
    return _made(parts, folder, "rates", _add_program)


def igt_image(parts: Parts, folder: Path) -> Image:
    """A guest that runs tests of IGT. Raises PartsError, also if IGT was not got."""
    return _made(parts, folder, "igt", add_tests)


def _made(parts: Parts, folder: Path, job: str, add_job: Callable[[Parts, Initramfs, Path], None]) -> Image:
    folder.mkdir(parents=True, exist_ok=True)
    kernel = folder / f"vmlinux-{parts.release}"
    if not kernel.exists():
        _write(kernel, vmlinux((parts.modules / "vmlinuz").read_bytes()))
    initramfs = folder / f"{job}-{parts.release}-{_fingerprint()}.cpio"
    if not initramfs.exists():
        made = _base(parts)
        made.add("/job", (_PROGRAM / f"job-{job}").read_bytes())
        add_job(parts, made, folder)
        _write(initramfs, made.build())
    return Image(kernel, initramfs)


def _fingerprint() -> str:
    """Of what the images are made of beside the parts."""
    digest = hashlib.sha256("".join(TESTS).encode())
    for source in sorted(_PROGRAM.iterdir()):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _write(path: Path, data: bytes) -> None:
    """A file that is there whole or not at all."""
    growing = path.with_suffix(".partial")
    growing.write_bytes(data)
    growing.rename(path)


def _base(parts: Parts) -> Initramfs:
    """busybox, the driver with the modules it needs, and the first process."""
    made = Initramfs()
    made.add("/bin/busybox", parts.busybox.read_bytes(), 0o755)
    made.add_link("/bin/sh", "busybox")
    made.add("/init", (_PROGRAM / "init").read_bytes(), 0o755)
    modules = with_needs(["virtio_gpu"], parts.modules)
    for name, module in modules.items():
        made.add(f"/modules/{name}.ko", module)
    made.add("/modules/order", "\n".join(modules).encode())
    return made


def _add_program(parts: Parts, made: Initramfs, folder: Path) -> None:
    made.add("/probe", compiled(parts, folder / "probe"), 0o755)


def compiled(parts: Parts, target: Path, *more: str) -> bytes:
    """The program, linked with all it needs. more: for gcc. Raises PartsError with the compiler's first complaint."""
    headers = (parts.headers, parts.headers / "x86_64-linux-gnu")
    search = [word for folder in headers for word in ("-isystem", str(folder))]
    sources = [str(source) for source in sorted(_PROGRAM.glob("*.c"))]
    done = subprocess.run([*_GCC, *more, *search, "-o", target, *sources], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PartsError(f"the guest's program does not compile: {(done.stderr or 'no word').splitlines()[0]}")
    return target.read_bytes()
