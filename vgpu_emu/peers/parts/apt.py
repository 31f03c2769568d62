"""apt with a state of its own: another suite's index and packages, beside the system and without root.

apt does what it does for the system: it goes through the system's proxies and transports, checks that InRelease is
signed by Debian's keyring, that the index has the hash that InRelease says and every package the hash of the index, and
resumes what was interrupted. Nothing unsigned is ever accepted, whatever the system's configuration allows.
"""

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vgpu_emu.peers.parts.errors import PartsError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: read after the system's configuration, so that this counts
_CONFIGURATION = """\
Dir::State "{home}/state";
Dir::State::status "{home}/status";
Dir::Cache "{home}";
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
#clear APT::Architectures;
APT::Architecture "amd64";
APT::Default-Release "";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Debug::NoLocking "true";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
"""
_URI = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})")
_INRELEASE = re.compile(r"'(?P<base>[^']+)/dists/[^']+/InRelease' ")

#: told what is going on, now and then
Say = Callable[[str], None]


class Package(NamedTuple):
    """A .deb as the signed index describes it. size: in bytes. sha256: in hexadecimal."""

    file: str
    size: int
    sha256: str


class Apt:
    """apt whose index, cache and status are in `home`, for the suite of one archive."""

    def __init__(self, home: Path, archive: str, suite: str, keyring: Path = KEYRING) -> None:
        self.home = home
        self.suite = suite
        self.archives = home / "archives"
        for folder in (home / "state" / "lists" / "partial", self.archives / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        (home / "status").touch()
        (home / "apt.conf").write_text(_CONFIGURATION.format(home=home), encoding="utf-8")
        source = f"deb [arch=amd64 signed-by={keyring} target=Packages] {archive} {suite} main\n"
        (home / "sources.list").write_text(source, encoding="utf-8")

    def update(self) -> None:
        """Get the index. Raises PartsError, also if it is not signed by the keyring or not what was signed."""
        self._run("apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update")

    def depends(self, name: str) -> list[str]:
        """The names that a package says it depends on."""
        lines = self._run("apt-cache", "depends", "--important", name).splitlines()
        return [line.split()[-1] for line in lines if "Depends: " in line and "<" not in line]

    def closure(self, names: Sequence[str]) -> list[Package]:
        """The packages and all that they need, on a system that has none."""
        # what is in the archives already would not be listed
        elsewhere = ("-o", f"Dir::Cache::archives={self.home}/none")
        (self.home / "none" / "partial").mkdir(parents=True, exist_ok=True)
        return _packages(self._run("apt-get", "-qq", "--print-uris", *elsewhere, "install", *names))

    def alone(self, names: Sequence[str]) -> list[Package]:
        """These packages only."""
        return _packages(self._run("apt-get", "-qq", "--print-uris", "download", *names)) if names else []

    def download(self, names: Sequence[str], alone: Sequence[str], say: Say) -> None:
        """Get both into `archives`. What is there already is not fetched again."""
        install = ("apt-get", "-qq", "--yes", "--download-only", "-o", "APT::Status-Fd=1", "install", *names)
        for line in self._lines(*install):
            kind, _, rest = line.partition(":")
            if kind == "dlstatus":
                _, _, percent_and_text = rest.partition(":")
                say(f"downloading: {float(percent_and_text.partition(':')[0]):.0f} %")
        if alone:
            self._run("apt-get", "-qq", "download", *alone, cwd=self.archives)

    def _run(self, tool: str, *arguments: str, cwd: Path | None = None) -> str:
        return "\n".join(self._lines(tool, *arguments, cwd=cwd))

    def _lines(self, tool: str, *arguments: str, cwd: Path | None = None) -> Iterator[str]:
        """What the tool prints, as it comes. Raises PartsError with its complaint if it fails."""
        command = [tool, "-c", str(self.home / "apt.conf"), *arguments]
        complaints = self.home / "complaints"
        with (
            complaints.open("wb") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=cwd, text=True) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                yield line.rstrip("\n")
        if process.returncode != 0:
            raise PartsError(f"{tool} {self.suite}: {_complaint(complaints.read_text(errors='replace'))}")


def archives() -> list[str]:
    """The addresses of the archives that the system's own apt is configured to use, in its order."""
    answer = subprocess.run(
        ["apt-get", "update", "--print-uris"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return list(dict.fromkeys(match["base"] for match in _INRELEASE.finditer(answer.stdout)))


def _packages(text: str) -> list[Package]:
    """Of lines as --print-uris writes them."""
    return [Package(match["file"], int(match["size"]), match["sha256"]) for match in _URI.finditer(text)]


def _complaint(text: str) -> str:
    """The first error among apt's complaints."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:")] or lines
    return errors[0].removeprefix("E:").strip() if errors else "failed without a word"
