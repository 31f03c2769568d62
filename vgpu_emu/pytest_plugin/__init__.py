"""The pytest plugin: scenario files as tests, and fixtures for the machine, a device alone and a driver alone.

pytest loads this module in every run, so nothing of the emulator is imported before a fixture or a scenario is used.
docs/testing.md is the manual.
"""

from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from vgpu_emu import Config, Lockstep, Machine
    from vgpu_emu.pytest_plugin.scenarios import ScenarioFile
    from vgpu_emu.testing import DeviceAlone, DriverAlone
    from vgpu_emu.trace.log import Log

#: loading.SUFFIX, which costs the import of what loads scenarios
SUFFIX = ".vgpu.toml"
#: what was said in a test's machines
_LOGS = pytest.StashKey[list["Log"]]()
#: lines of a ladder in a report
_LINES = 200


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vgpu-emu", "scenarios of vgpu-emu")
    group.addoption("--vgpu", action="store_true", help="collect *.vgpu.toml files: each scenario is a test")
    group.addoption(
        "--vgpu-seed",
        type=int,
        default=0,
        metavar="S",
        help="the order of what happens at the same time in scenarios; with 0, golden ladders are compared, too",
    )
    parser.addini("vgpu_scenarios", "collect *.vgpu.toml files: each scenario is a test", type="bool", default=False)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "ScenarioFile | None":
    """Scenario files, where that is switched on; a file that is named on the command line is always meant."""
    if not file_path.name.endswith(SUFFIX) or not _is_meant(file_path, parent):
        return None
    from vgpu_emu.pytest_plugin.scenarios import ScenarioFile

    # a Collector that is made by its from_parent
    return ScenarioFile.from_parent(parent, path=file_path)


def _is_meant(path: Path, parent: pytest.Collector) -> bool:
    config = parent.config
    return bool(config.getoption("vgpu") or config.getini("vgpu_scenarios") or parent.session.isinitpath(path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows what was said in its machines."""
    report = yield
    logs = item.stash.get(_LOGS, [])
    if report.failed and logs:
        from vgpu_emu.trace.ladder import text

        for number, log in enumerate(logs, 1):
            name = "virtio-gpu messages" + (f", machine {number}" if len(logs) > 1 else "")
            report.sections.append((name, _last(text(log.events))))
    return report


def _last(ladder: str) -> str:
    lines = ladder.splitlines()
    missing = len(lines) - _LINES
    return "\n".join([f"({missing} lines before)", *lines[missing:]] if missing > 0 else lines)


def _keep(request: pytest.FixtureRequest, log: "Log") -> None:
    request.node.stash.setdefault(_LOGS, []).append(log)


@pytest.fixture
def vgpu_config() -> "Config":
    """The configuration of this module's or test's machines; define a fixture of this name to have another one."""
    from vgpu_emu import Config

    return Config()


@pytest.fixture
def open_vgpu_machine(
    request: pytest.FixtureRequest, vgpu_config: "Config"
) -> "Callable[..., AbstractAsyncContextManager[Machine]]":
    """``async with open_vgpu_machine(Config(...), faults=[...]) as machine``: as `vgpu_emu.open_machine`, and then
    nothing is left, or the test fails. Without a configuration, that of `vgpu_config`. Under any runner of trio."""
    from contextlib import asynccontextmanager

    from vgpu_emu import open_machine

    @asynccontextmanager
    async def opened(config: "Config | None" = None, **options: Any) -> AsyncGenerator["Machine", None]:
        async with open_machine(vgpu_config if config is None else config, **options) as machine:
            _keep(request, machine.log)
            yield machine
        _nothing_left(machine.parts.leaks())

    return opened


@pytest.fixture
def _on_trio(request: pytest.FixtureRequest) -> None:
    """Fails a test that nobody runs on trio, in words; what pytest itself says of asynchronous fixtures depends on its
    version."""
    if request.node.get_closest_marker("trio") is None and "anyio_backend" not in request.fixturenames:
        pytest.fail(
            "vgpu_machine is for asynchronous tests: take vgpu_lockstep, or make the test `async def` with pytest-trio "
            "(trio_mode = true, or @pytest.mark.trio)",
            pytrace=False,
        )


@pytest.fixture
async def vgpu_machine(
    _on_trio: None, open_vgpu_machine: "Callable[..., AbstractAsyncContextManager[Machine]]"
) -> AsyncGenerator["Machine", None]:
    """A machine for an asynchronous test: host, VMM and guest as tasks. ``await vgpu_machine.run(call)``"""
    async with open_vgpu_machine() as machine:
        yield machine


@pytest.fixture
def vgpu_lockstep(request: pytest.FixtureRequest, vgpu_config: "Config") -> Generator["Lockstep", None, None]:
    """The same machine without an event loop. ``vgpu_lockstep.run(call)``"""
    from vgpu_emu import Lockstep

    with Lockstep(vgpu_config) as machine:
        _keep(request, machine.log)
        yield machine
    _nothing_left(machine.parts.leaks())


@pytest.fixture
def vgpu_device(request: pytest.FixtureRequest, vgpu_config: "Config") -> Generator["DeviceAlone", None, None]:
    """A VMM's device, with our renderer behind it; the test is the guest. ``vgpu_device.send(request)``"""
    from vgpu_emu.testing import DeviceAlone

    with DeviceAlone(vgpu_config) as device:
        _keep(request, device.log)
        yield device
    _nothing_left(device.parts.leaks())


@pytest.fixture
def vgpu_driver(request: pytest.FixtureRequest, vgpu_config: "Config") -> "DriverAlone":
    """A guest's driver with an open file; the test is the device. ``vgpu_driver.kick()``, ``vgpu_driver.answer()``"""
    from vgpu_emu.testing import DriverAlone

    driver = DriverAlone(
        features=vgpu_config.features & vgpu_config.profile.offers,
        host_visible=vgpu_config.host_visible,
        guest_memory=vgpu_config.guest_memory,
    )
    _keep(request, driver.log)
    return driver


def _nothing_left(leaks: Iterable[str]) -> None:
    left = ", ".join(leaks)
    assert not left, f"left when the machine was closed: {left}"
