"""Between the download and the prefix: every package is hashed again, and a prefix is there whole or not at all."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vgpu_emu.peers.parts.apt import Package
from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.get import home, present
from vgpu_emu.peers.parts.unpack import MANIFEST, manifest, unpack

DEB = Path(__file__).parents[1] / "data" / "archive" / "pool" / "hello_1.0_amd64.deb"
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb")


def described(data: bytes) -> Package:
    return Package(DEB.name, len(data), hashlib.sha256(data).hexdigest())


def silent(_text: str) -> None:
    """Nobody listens."""


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    folder = tmp_path / "archives"
    folder.mkdir()
    shutil.copy(DEB, folder)
    return folder


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda data: data[:-1] + b"?", "SHA256 [0-9a-f]{64}, not"),
        (lambda data: data[:-1], "581 bytes of 582"),
        (lambda data: data + b"?", "583 bytes of 582"),
        (lambda data: b"", "0 bytes of 582"),
    ],
    ids=["other byte", "too short", "too long", "empty"],
)
def test_package_that_changed_on_disk_is_refused_and_removed(
    archives: Path, spoil: Callable[[bytes], bytes], complaint: str
) -> None:
    good = DEB.read_bytes()
    (archives / DEB.name).write_bytes(spoil(good))
    with pytest.raises(PartsError, match=complaint):
        unpack([described(good)], archives, archives.parent / "prefix", silent)
    assert not (archives / DEB.name).exists()
    assert manifest(archives.parent / "prefix") == []


def test_package_that_is_gone_is_named(archives: Path) -> None:
    package = described(DEB.read_bytes())
    (archives / DEB.name).unlink()
    with pytest.raises(PartsError, match=r"hello_1.0_amd64.deb: No such file"):
        unpack([package], archives, archives.parent / "prefix", silent)


@needs_dpkg
def test_signed_bytes_that_are_no_package_are_refused(archives: Path) -> None:
    truncated = DEB.read_bytes()[:300]
    (archives / DEB.name).write_bytes(truncated)
    with pytest.raises(PartsError, match=r"hello_1.0_amd64.deb cannot be unpacked"):
        unpack([described(truncated)], archives, archives.parent / "prefix", silent)


@needs_dpkg
def test_interrupted_attempt_leaves_nothing_behind_in_the_next(archives: Path) -> None:
    prefix = archives.parent / "prefix"
    left = prefix.with_name("prefix.partial") / "usr/bin/half"
    left.parent.mkdir(parents=True)
    left.touch()
    unpack([described(DEB.read_bytes())], archives, prefix, silent)
    assert (prefix / "usr/share/hello/greeting").read_text() == "hello\n"
    assert not (prefix / "usr/bin/half").exists()
    assert not left.exists()


@pytest.mark.parametrize("text", ["", "{", '[{"file": "x"}]', "\xff"])
def test_prefix_with_a_broken_manifest_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / MANIFEST).write_text(text, encoding="latin-1")
    with pytest.raises(PartsError, match=r"no real parts in .*: get them with python -m peers get"):
        present(tmp_path)


def test_folder_is_the_variable_s_or_in_the_user_s_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VGPU_EMU_PEERS", "/elsewhere")
    assert home() == Path("/elsewhere")
    monkeypatch.delenv("VGPU_EMU_PEERS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert home() == Path("/cache/vgpu-emu/peers")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert home() == Path.home() / ".cache/vgpu-emu/peers"
