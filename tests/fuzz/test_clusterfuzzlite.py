"""The files for engines that run elsewhere, as far as they can be looked at without one."""

import os
import re
from pathlib import Path

import pytest

from vgpu_emu.fuzz.engines.seeds import SEEDS

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("cflite_*.yml"))
BUILD, RUN = "build_fuzzers", "run_fuzzers"
#: inputs of google/clusterfuzzlite/actions/*/action.yml; later versions have some more
INPUTS = {
    BUILD: {
        *("language", "dry-run", "allowed-broken-targets-percentage", "sanitizer", "project-src-path"),
        *("bad-build-check", "storage-repo", "storage-repo-branch", "storage-repo-branch-coverage", "upload-build"),
        "github-token",
    },
    RUN: {
        *("language", "fuzz-seconds", "dry-run", "sanitizer", "mode", "github-token", "storage-repo"),
        *("storage-repo-branch", "storage-repo-branch-coverage", "report-unreproducible-crashes"),
    },
}
MODES = {"code-change", "batch", "prune", "coverage"}
STEP = re.compile(r"- uses: google/clusterfuzzlite/actions/(\w+)@v1\n +with:\n((?: {10}[\w-]+: .+\n)+)")


def steps(workflow: Path) -> list[tuple[str, dict[str, str]]]:
    """The action of each step, and its inputs."""
    found = STEP.findall(workflow.read_text(encoding="utf-8"))
    return [(action, dict(line.strip().split(": ", 1) for line in lines.splitlines())) for action, lines in found]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_steps_have_inputs_that_there_are_and_the_language(workflow: Path) -> None:
    found = steps(workflow)
    assert len(found) == workflow.read_text(encoding="utf-8").count("uses:")
    for action, inputs in found:
        assert inputs.keys() <= INPUTS[action]
        # without it both take the project for one in C++, and look for coverage that clang would have written
        assert inputs["language"] == "python"
        if action == RUN:
            assert inputs["mode"] in MODES
            assert "github-token" in inputs


def test_every_mode_has_a_job() -> None:
    every = [inputs for workflow in WORKFLOWS for action, inputs in steps(workflow) if action == RUN]
    assert {inputs["mode"] for inputs in every} == MODES


def test_every_target_is_executable_and_has_seeds() -> None:
    """-merge, -fork and -jobs start a target again by its name; build.sh takes every fuzz_*.py."""
    targets = sorted((ROOT / "fuzz").glob("fuzz_*.py"))
    assert {path.stem for path in targets} == {f"fuzz_{name}" for name in SEEDS}
    assert all(os.access(path, os.X_OK) for path in targets)
