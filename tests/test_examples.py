"""Every example runs, and says what it is meant to say."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
#: a line of what each prints
SAYS = {
    "01_cache_attribute.py": "kernel with the ioctl: True; guest pgprot: writecombine; conflicts: none",
    "02_scenario.py": "left behind: nothing",
    "03_fuzz_a_message.py": "RESP_ERR_INVALID_RESOURCE_ID: ",
    "04_lying_renderer.py": "because: MAP_EXPORTED",
}


def test_no_example_is_left_out() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_example_runs(name: str) -> None:
    done = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert any(line.startswith(SAYS[name]) for line in done.stdout.splitlines()), done.stdout
