"""The parts come from a signed archive: what is not what was signed is refused, whatever the system's apt allows."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vgpu_emu.peers.parts.apt import Apt
from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.unpack import manifest, unpack

#: an archive of one package, signed with a key of its own
DATA = Path(__file__).parents[1] / "data" / "archive"
pytestmark = pytest.mark.skipif(
    shutil.which("apt-get") is None or shutil.which("gpgv") is None, reason="no apt-get or no gpgv: not Debian's apt"
)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lenient = tmp_path / "system.conf"
    lenient.write_text('Acquire::AllowInsecureRepositories "true"; APT::Get::AllowUnauthenticated "true";')
    monkeypatch.setenv("APT_CONFIG", str(lenient))
    return shutil.copytree(DATA, tmp_path / "archive")


def apt_of(archive: Path) -> Apt:
    # copy: a transport that fetches, as http does, without a network
    return Apt(archive.parent / "apt", f"copy:{archive}", "forky", archive / "keyring.gpg")


def get(archive: Path) -> Path:
    """The prefix, as python -m peers get makes one."""
    apt = apt_of(archive)
    apt.update()
    packages = apt.closure(["hello"])
    assert [package.file for package in packages] == ["hello_1.0_amd64.deb"]
    apt.download(["hello"], [], lambda _text: None)
    unpack(packages, apt.archives, archive.parent / "prefix", lambda _text: None)
    return archive.parent / "prefix"


def test_signed_archive_becomes_a_prefix_of_its_files(archive: Path) -> None:
    prefix = get(archive)
    assert (prefix / "usr/share/hello/greeting").read_text() == "hello\n"
    assert [package.file for package in manifest(prefix)] == ["hello_1.0_amd64.deb"]


def test_archive_that_was_got_before_gives_the_same_again(archive: Path) -> None:
    before = manifest(get(archive))
    assert manifest(get(archive)) == before


def _unsigned(archive: Path) -> None:
    signed = archive / "dists/forky/InRelease"
    body = signed.read_text().partition("\n\n")[2].partition("-----BEGIN PGP SIGNATURE")[0]
    signed.unlink()
    (archive / "dists/forky/Release").write_text(body)


def _signature_of_other_text(archive: Path) -> None:
    signed = archive / "dists/forky/InRelease"
    signed.write_text(signed.read_text().replace("Origin: Tests", "Origin: Thief"))


def _key_of_somebody_else(archive: Path) -> None:
    shutil.copy("/usr/share/keyrings/debian-archive-keyring.gpg", archive / "keyring.gpg")


def _index_that_lies(archive: Path) -> None:
    index = archive / "dists/forky/main/binary-amd64/Packages"
    index.write_text(index.read_text().replace("Version: 1.0", "Version: 6.6"))


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (_unsigned, "is not signed"),
        (_signature_of_other_text, "not signed|BADSIG"),
        (_key_of_somebody_else, "not signed|NO_PUBKEY"),
        (_index_that_lies, "Hash Sum mismatch|unexpected size"),
    ],
)
def test_index_that_was_not_signed_is_refused(archive: Path, spoil: Callable[[Path], None], complaint: str) -> None:
    spoil(archive)
    with pytest.raises(PartsError, match=complaint):
        apt_of(archive).update()


def test_package_with_other_bytes_is_refused(archive: Path) -> None:
    package = archive / "pool/hello_1.0_amd64.deb"
    package.write_bytes(package.read_bytes()[:-1] + b"?")
    with pytest.raises(PartsError, match="Hash Sum mismatch"):
        get(archive)
    assert not (archive.parent / "prefix").exists()


def test_package_that_is_cut_short_is_refused(archive: Path) -> None:
    package = archive / "pool/hello_1.0_amd64.deb"
    package.write_bytes(package.read_bytes()[:-100])
    with pytest.raises(PartsError, match=r"Hash Sum mismatch|unexpected size"):
        get(archive)


def test_archive_without_the_suite_is_named(tmp_path: Path) -> None:
    (tmp_path / "keyring.gpg").touch()
    with pytest.raises(PartsError, match=r"apt-get forky: .*does not have a Release file"):
        apt_of(tmp_path).update()
