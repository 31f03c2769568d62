"""Where the parts are, once they are there, and how the real programs are started."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vgpu_emu.peers.parts.errors import PartsError

_LIBRARIES = "usr/lib/x86_64-linux-gnu"


@dataclass(frozen=True)
class Parts:
    """The unpacked packages. prefix: QEMU, Linux, busybox, headers. igt: IGT and its libraries, if they were wanted."""

    prefix: Path
    igt: Path | None = None

    @property
    def libraries(self) -> Path:
        return self.prefix / _LIBRARIES

    @property
    def qemu(self) -> list[str]:
        """The start of QEMU's command line: run by the loader it was built for, whatever the system's C library is."""
        share = self.prefix / "usr/share"
        folders = (share / "qemu", share / "seabios", self.prefix / "usr/lib/ipxe/qemu")
        return [*self._run("usr/bin/qemu-system-x86_64"), *(word for folder in folders for word in ("-L", str(folder)))]

    @property
    def vhost_user_gpu(self) -> list[str]:
        """The start of the command line of QEMU's own vhost-user back-end for virtio-gpu."""
        return self._run("usr/lib/qemu/vhost-user-gpu")

    @property
    def module_folder(self) -> Path:
        """QEMU_MODULE_DIR: QEMU loads virtio-gpu as a module."""
        return self.libraries / "qemu"

    @property
    def environment(self) -> dict[str, str]:
        """What QEMU needs in its environment."""
        return {**os.environ, "QEMU_MODULE_DIR": str(self.module_folder)}

    @property
    def busybox(self) -> Path:
        return self.prefix / "usr/bin/busybox"

    @property
    def headers(self) -> Path:
        """The kernel's headers for user space, those of the guest's kernel."""
        return self.prefix / "usr/include"

    @cached_property
    def modules(self) -> Path:
        """The folder of the kernel's modules; vmlinuz is in it too."""
        return self._one("usr/lib/modules/*/vmlinuz").parent

    @property
    def release(self) -> str:
        """The kernel's release, as uname -r prints it."""
        return self.modules.name

    def _run(self, program: str) -> list[str]:
        loader = self.libraries / "ld-linux-x86-64.so.2"
        return [str(loader), "--library-path", str(self.libraries), str(self.prefix / program)]

    def _one(self, pattern: str) -> Path:
        found = sorted(self.prefix.glob(pattern))
        if not found:
            raise PartsError(f"{self.prefix} has no {pattern}: get the parts again")
        return found[-1]
