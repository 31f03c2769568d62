"""What campaigns have found, as scenarios: each passes, and fails when what was done about it is taken out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from vgpu_emu.fuzz import core
from vgpu_emu.fuzz.actions import Reset
from vgpu_emu.fuzz.hosting import Host
from vgpu_emu.fuzz.scenarios import run
from vgpu_emu.host import rings
from vgpu_emu.host.rings import Rings
from vgpu_emu.link.chain import Used
from vgpu_emu.scenario.loading import SUFFIX, load
from vgpu_emu.scenario.outcome import Result
from vgpu_emu.vmm.displays import Displays
from vgpu_emu.vmm.fences import Fences

FOUND = Path(__file__).parents[2] / "scenarios" / "found"


def _keeps_cursors(displays: Displays) -> None:
    for scanout in displays.scanouts:
        scanout.shown = None


def _keeps_the_driver(bench: Any, _step: Reset) -> None:
    if not bench.guest.files:
        bench.reset()


def _nothing(*_arguments: Any) -> None:
    pass


def _keeps_payloads(fences: Fences) -> list[Used]:
    failed = [replace(used, written=b"\0\x12\0\0" + used.written[4:]) for *_, used in fences]
    fences.clear()
    return failed


Undone = Callable[[pytest.MonkeyPatch], None]
#: file -> how it was before, and the oracle that said so
BEFORE: dict[str, tuple[Undone, str]] = {
    "cursor-after-reset": (lambda patch: patch.setattr(Displays, "reset", _keeps_cursors), "I13"),
    "error-with-a-payload": (lambda patch: patch.setattr(Fences, "fail", _keeps_payloads), "I18"),
    "kernel-without-the-ioctl": (lambda patch: patch.setattr(Host, "_old_kernel", _nothing), "I3"),
    "later-fence-first": (lambda patch: patch.setattr(rings, "_timeline", lambda _fence: object()), "I21"),
    "signal-to-a-vmm-that-ended": (lambda patch: patch.setattr(Rings, "forget_fences", _nothing), "I21"),
    "unbound-in-flight": (lambda patch: patch.setitem(core._DO, Reset, _keeps_the_driver), "I10"),
}


def test_every_file_is_here() -> None:
    assert {file.name.removesuffix(SUFFIX) for file in FOUND.iterdir()} == set(BEFORE)


@pytest.mark.parametrize("name", BEFORE)
def test_what_was_found_is_mended(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (scenario,) = load(FOUND / f"{name}{SUFFIX}")
    assert run(scenario).result is Result.SUCCESS
    undone, oracle = BEFORE[name]
    undone(monkeypatch)
    failure = run(scenario).failure
    assert failure is not None
    assert failure.mismatches[0].what.split()[0] == oracle
