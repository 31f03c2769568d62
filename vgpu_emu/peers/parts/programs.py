"""The real programs as scripts that bear their names, for whoever starts them by hand."""

import os
import shlex
from pathlib import Path

from vgpu_emu.peers.parts.parts import Parts


def write_programs(parts: Parts, folder: Path) -> list[Path]:
    """Scripts in `folder` that start QEMU and its vhost-user-gpu with the arguments they are given."""
    folder.mkdir(parents=True, exist_ok=True)
    programs = {"qemu-system-x86_64": parts.qemu, "vhost-user-gpu": parts.vhost_user_gpu}
    return [_write(folder / name, words, parts.module_folder) for name, words in programs.items()]


def _write(path: Path, words: list[str], modules: Path) -> Path:
    """A script that is there whole or not at all: an older one may be running."""
    growing = path.with_suffix(".partial")
    growing.write_text(f'#!/bin/sh\nQEMU_MODULE_DIR={shlex.quote(str(modules))} exec {shlex.join(words)} "$@"\n')
    growing.chmod(0o755)
    os.replace(growing, path)
    return path
