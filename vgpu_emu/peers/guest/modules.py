"""Kernel modules, and in which order they have to be loaded."""

import lzma
from collections.abc import Iterator
from pathlib import Path

from vgpu_emu.peers.parts.errors import PartsError


def with_needs(names: list[str], folder: Path) -> dict[str, bytes]:
    """The modules and what they depend on, name -> the .ko file, in an order in which they can be loaded.

    A module's name has underscores where its file may have dashes. Raises PartsError for one that is not there.
    """
    files = {path.name.partition(".")[0].replace("-", "_"): path for path in folder.rglob("*.ko*")}
    loaded: dict[str, bytes] = {}
    for name in names:
        _load(name, files, loaded)
    return loaded


def _load(name: str, files: dict[str, Path], loaded: dict[str, bytes]) -> None:
    if name in loaded:
        return
    if name not in files:
        raise PartsError(f"the kernel's modules have no {name}")
    module = _read(files[name])
    for needed in depends(module):
        _load(needed, files, loaded)
    loaded[name] = module


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def depends(module: bytes) -> Iterator[str]:
    """What the module's .modinfo section says that it depends on."""
    start = module.find(b"\0depends=")
    if start >= 0:
        end = module.index(b"\0", start + 1)
        listed = module[start + len(b"\0depends=") : end].decode("ascii")
        yield from (name for name in listed.split(",") if name)
