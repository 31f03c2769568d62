"""QEMU's own vhost-user-gpu: its answers beside the profile that models it. Needs the real program."""

import shlex
from pathlib import Path

import pytest

from vgpu_emu.cli.scenario_files import find_scenarios
from vgpu_emu.drive.comparing import compare
from vgpu_emu.drive.exploring import explore
from vgpu_emu.peers.front.machine import FrontConfig
from vgpu_emu.peers.front.source import DeviceSource
from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.get import present
from vgpu_emu.scenario.on_device import OnDevice
from vgpu_emu.scenario.outcome import Result
from vgpu_emu.scenario.session import run_on_device
from vgpu_emu.testing import check_device_async
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_wire.device import Feature

pytestmark = pytest.mark.peers
SYSTEMS = Path("/usr/lib/qemu/vhost-user-gpu")
#: where the device is not its profile, and why: docs/peers.md
OF_ANY = {"GET_EDID bad scanout", "GET_EDID without its bit"}
OF_7_2 = {
    "a request of 23 bytes",
    "a request of no bytes",
    "RESOURCE_UNREF of 31 bytes",
    "CREATE_2D too big",
    "CREATE_2D without pixels",
}
#: it makes images of 16 GiB: docs/peers.md
FAILED_BY_7_2 = {"vmm@images@strict", "vmm@images@qemu-2d", "vmm@images@vhost-user-gpu"}
SCENARIOS = Path(__file__).parents[2] / "scenarios"


@pytest.fixture(params=["parts", "system"])
def command(request: pytest.FixtureRequest) -> str:
    """Starts the program: the one that python -m peers get gets, and the system's own."""
    if request.param == "parts":
        try:
            words = present().vhost_user_gpu
        except PartsError as missing:
            pytest.skip(str(missing))
    elif SYSTEMS.exists():
        words = [str(SYSTEMS)]
    else:
        pytest.skip(f"no {SYSTEMS}: it is in Debian's qemu-system-gui")
    return shlex.join([*words, "--socket-path={socket}"])


def test_real_device_passes_every_scenario_that_its_profile_passes(command: str, tmp_path: Path) -> None:
    device = OnDevice(DeviceSource(str(tmp_path / "gpu.sock"), command), "vhost-user-gpu")
    played = [run_on_device(found.scenario, device) for found in find_scenarios([str(SCENARIOS)])]
    failed = {outcome.id for outcome in played if outcome.result not in {Result.SUCCESS, Result.SKIP}}
    assert failed <= (FAILED_BY_7_2 if command.startswith(str(SYSTEMS)) else set())
    assert sum(outcome.result is Result.SUCCESS for outcome in played) >= 8


async def test_real_device_answers_as_its_profile_says(command: str, tmp_path: Path) -> None:
    source = DeviceSource(str(tmp_path / "gpu.sock"), command)
    found = await explore(source, FrontConfig(), lambda _done, _total: None)
    assert found.failures == []
    assert set(found.skipped.values()) == {"it needs blobs of the emulator's own renderer"}
    assert len(found.answers) > 120
    (likeness,) = compare(found, [PROFILES["vhost-user-gpu"]])
    # 7.2 has no EDIDs
    known = OF_ANY if Feature.EDID in found.hardware.features else OF_7_2
    assert {difference.condition for difference in likeness.differences} <= known


@pytest.mark.parametrize("command", ["parts"], indirect=True)
async def test_real_device_holds_all_rules_but_one(command: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as broken:
        await check_device_async(DeviceSource(str(tmp_path / "gpu.sock"), command).open)
    (line,) = str(broken.value).splitlines()
    assert line.endswith("GET_EDID of scanout 16: RESP_OK_EDID")
