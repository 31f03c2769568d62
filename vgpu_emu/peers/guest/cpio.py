"""An initramfs: a cpio archive in the "newc" format (Documentation/driver-api/early-userspace/buffer-format.rst)."""

import stat
from dataclasses import dataclass, field

_MAGIC = "070701"
_TRAILER = "TRAILER!!!"


@dataclass
class Initramfs:
    """Files to be, by absolute path. Every folder on the way to a file is made.

    All belong to root and date from the epoch, so the same files give the same bytes.
    """

    entries: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def add(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self._add_folders(path)
        self.entries[path] = (stat.S_IFREG | mode, data)

    def add_folder(self, path: str) -> None:
        self._add_folders(path)
        self.entries.setdefault(path, (stat.S_IFDIR | 0o755, b""))

    def add_link(self, path: str, target: str) -> None:
        self._add_folders(path)
        self.entries[path] = (stat.S_IFLNK | 0o777, target.encode())

    def build(self) -> bytes:
        """The archive, uncompressed."""
        parts = []
        for number, (path, (mode, data)) in enumerate(self.entries.items(), 1):
            parts.append(_entry(path.lstrip("/"), number, mode, data))
        parts.append(_entry(_TRAILER, 0, 0, b""))
        return b"".join(parts)

    def _add_folders(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent:
            self.add_folder(parent)


def _entry(name: str, inode: int, mode: int, data: bytes) -> bytes:
    """A header of 13 numbers in hexadecimal text, the name and the data, each padded to 4 bytes."""
    named = name.encode() + b"\0"
    numbers = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(named), 0)
    header = _MAGIC.encode() + b"".join(b"%08X" % number for number in numbers)
    return _padded(header + named) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
