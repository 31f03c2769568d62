"""The pytest plugin in runs of its own: what is collected, what a failure shows, and what is imported."""

import os
import sys
import tomllib
from pathlib import Path

import pytest

from vgpu_emu import pytest_plugin
from vgpu_emu.scenario.loading import SUFFIX

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
SCENARIO = """
id = "map-blob@{name}"
why = "A buffer is mapped."

[[parameters]]
exporter = "wc"
pgprot = "writecombine"

[[parameters]]
exporter = "cached"
pgprot = "{cached}"

[[step]]
do = "create-blob"
exporter = "{{exporter}}"
as = "blob"

[[step]]
do = "mmap"
of = "blob"
expect = {{ pgprot = "{{pgprot}}" }}
"""
FIXTURES = """
from vgpu_emu import DrmFile, Machine, Lockstep
from vgpu_emu.testing import Call, DeviceAlone, DriverAlone
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.render import CtxCreate
from vgpu_wire.control import CtrlType

ALLOC = StreamAlloc(exporter=ExporterKind.WC.value, blob_id=1, size=4096).build()

def blob(driver):
    return DrmFile(driver).resource_create_blob(size=4096, blob_id=1, cmd=ALLOC)
"""


@pytest.fixture
def runs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Runs of pytest with our plugin, with pytest-trio where asked for, and no other that is installed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return pytester


PLUGIN = ("-p", "vgpu_emu.pytest_plugin")
#: of a plugin that this process has loaded already
_REWRITTEN = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
TRIO = (*PLUGIN, "-p", "pytest_trio.plugin", "-o", "trio_mode=true")


def scenario(runs: pytest.Pytester, name: str = "kept", cached: str = "cached") -> None:
    runs.makefile(".vgpu.toml", **{name: SCENARIO.format(name=name, cached=cached)})


def test_suffix_is_that_of_scenarios() -> None:
    assert pytest_plugin.SUFFIX == SUFFIX


def install(runs: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an installer makes of our entry points, for the processes that are started here."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    lines = [f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in names.items()) for group, names in points.items()]
    metadata = runs.mkdir("vgpu_emu-0.dist-info")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: vgpu-emu\nVersion: 0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("".join(lines), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(runs.path), *sys.path]))
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")


def test_installed_plugin_imports_nothing_of_ours_before_it_is_used(
    runs: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(runs, monkeypatch)
    runs.makepyfile(
        """
        import sys

        def test_sys_modules(pytestconfig):
            assert pytestconfig.pluginmanager.get_plugin("vgpu").__name__ == "vgpu_emu.pytest_plugin"
            heavy = {"trio", "construct", "vgpu_wire", "msgspec", "rich", "cyclopts"} & set(sys.modules)
            ours = {name for name in sys.modules if name.startswith("vgpu_emu")}
            assert (heavy, ours) == (set(), {"vgpu_emu", "vgpu_emu.pytest_plugin"})
        """
    )
    scenario(runs)
    others = ("-p", "no:pytest_trio", "-p", "no:trio", "-p", "no:hypothesispytest", "-p", "no:anyio")
    runs.runpytest_subprocess(*others).assert_outcomes(passed=1)


def test_scenarios_are_tests_where_that_is_switched_on(runs: pytest.Pytester) -> None:
    scenario(runs)
    for options in (["--vgpu"], ["-o", "vgpu_scenarios=true"], ["kept.vgpu.toml"]):
        runs.runpytest_inprocess(*PLUGIN, *options).assert_outcomes(passed=2)
    runs.runpytest_inprocess(*TRIO, "--vgpu", "--vgpu-seed", "7").assert_outcomes(passed=2)


def test_scenarios_are_listed_and_chosen_by_name(runs: pytest.Pytester) -> None:
    scenario(runs)
    listed = runs.runpytest_inprocess(*PLUGIN, "--vgpu", "--co", "-q")
    listed.stdout.fnmatch_lines(["kept.vgpu.toml::map-blob@kept@wc", "kept.vgpu.toml::map-blob@kept@cached"])
    runs.runpytest_inprocess(*PLUGIN, "--vgpu", "-k", "wc").assert_outcomes(passed=1, deselected=1)
    runs.runpytest_inprocess(*PLUGIN, "kept.vgpu.toml::map-blob@kept@cached").assert_outcomes(passed=1)


def test_failure_shows_the_ladder_and_what_differs(runs: pytest.Pytester) -> None:
    scenario(runs, cached="noncached")
    result = runs.runpytest_inprocess(*PLUGIN, "--vgpu")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "* map-blob@kept@cached *",
            "*kept.vgpu.toml:17: step[[]1], mmap of blob: pgprot: cached",
            "*vmm   -> guest * RESP_OK_MAP_INFO * map_info 1 (CACHED)",
            "*kept.vgpu.toml:17: step[[]1], mmap of blob",
            "- pgprot: noncached",
            "+ pgprot: cached",
            "FAILED kept.vgpu.toml::map-blob@kept@cached - *",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_file_that_is_no_scenario_is_an_error_in_a_line(runs: pytest.Pytester) -> None:
    runs.makefile(".vgpu.toml", bad='id = "a@b"\nwhy = "c"\n[[step]]\ndo = "mmapp"\n')
    result = runs.runpytest_inprocess(*PLUGIN, "--vgpu")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*bad.vgpu.toml:*did you mean mmap*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_golden_ladder_is_compared(runs: pytest.Pytester) -> None:
    scenario(runs)
    runs.makefile(".ladder", kept="== map-blob@kept@wc\nnothing was said\n== map-blob@kept@cached\n")
    runs.runpytest_inprocess(*PLUGIN, "--vgpu").assert_outcomes(failed=2)


def test_machine_for_asynchronous_tests(runs: pytest.Pytester) -> None:
    runs.makepyfile(
        FIXTURES
        + """
async def test_mapped(vgpu_machine):
    assert isinstance(vgpu_machine, Machine)
    file = DrmFile(vgpu_machine.driver)
    handle = await vgpu_machine.run(file.resource_create_blob(size=4096, blob_id=1, cmd=ALLOC))
    vma = await vgpu_machine.run(file.mmap(file.map(handle), 4096))
    assert vma.pgprot.value == "writecombine"

async def test_opened(open_vgpu_machine):
    from vgpu_emu import Config
    async with open_vgpu_machine(Config(ioctl=False)) as first, open_vgpu_machine() as second:
        assert not first.parts.config.ioctl
        assert second.parts.config.ioctl
"""
    )
    runs.runpytest_inprocess(*TRIO).assert_outcomes(passed=2)


PLAIN = """
import pytest

def test_lockstep(vgpu_lockstep):
    assert vgpu_lockstep.run(blob(vgpu_lockstep.driver)) == 1

def test_device(vgpu_device):
    answer = vgpu_device.send(CtxCreate(ctx_id=1))
    assert answer is not None and answer.type == CtrlType.RESP_OK_NODATA
    assert vgpu_device.send(CtxCreate(ctx_id=1)).type >= 0x1200
    assert vgpu_device.broken_rules() == ["CTX_CREATE_ID_FREE"]

def test_driver(vgpu_driver):
    call = Call(blob(vgpu_driver.driver))
    assert [type(request).__name__ for request in vgpu_driver.kick()][0] == "CtxCreate"
    vgpu_driver.answer_all()
    assert call.value == 1
"""


@pytest.mark.parametrize("plugins", [PLUGIN, TRIO], ids=["alone", "beside pytest-trio"])
def test_parties_without_an_event_loop(runs: pytest.Pytester, plugins: tuple[str, ...]) -> None:
    runs.makepyfile(FIXTURES + PLAIN)
    runs.runpytest_inprocess(*plugins, "-W", "error", "-W", _REWRITTEN).assert_outcomes(passed=3)


def test_configuration_is_a_fixture_to_be_replaced(runs: pytest.Pytester) -> None:
    runs.makepyfile(
        """
        import pytest
        from vgpu_emu import Config, find_profile

        @pytest.fixture(params=["crosvm", "libkrun"])
        def vgpu_config(request):
            return Config(profile=find_profile(request.param))

        def test_profile(vgpu_lockstep, vgpu_device, vgpu_driver, request):
            assert vgpu_lockstep.parts.config.profile.name == vgpu_device.device.profile.name
            assert vgpu_device.device.profile.name in request.node.name
        """
    )
    runs.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=2)


def test_failure_shows_what_was_said(runs: pytest.Pytester) -> None:
    runs.makepyfile(
        FIXTURES
        + """
def test_wrong(vgpu_lockstep):
    vgpu_lockstep.run(blob(vgpu_lockstep.driver))
    assert vgpu_lockstep is None
"""
    )
    result = runs.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*- virtio-gpu messages -*", "guest -> vmm * RESOURCE_CREATE_BLOB *"])


def test_machine_needs_an_asynchronous_test(runs: pytest.Pytester) -> None:
    runs.makepyfile("def test_plain(vgpu_machine): pass")
    for plugins in (PLUGIN, TRIO):
        result = runs.runpytest_inprocess(*plugins)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*take vgpu_lockstep, or make the test `async def` with pytest-trio*"])


def test_what_a_test_leaves_open_is_an_error(runs: pytest.Pytester) -> None:
    runs.makepyfile(
        FIXTURES
        + """
def test_leaks(vgpu_lockstep):
    vgpu_lockstep.run(blob(vgpu_lockstep.driver))
    (buf,) = vgpu_lockstep.parts.kernel.live.values()
    buf.refs += 1
"""
    )
    result = runs.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*left when the machine was closed: dma-buf 1*"])


def test_example_of_the_manual_runs(runs: pytest.Pytester) -> None:
    manual = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    runs.makepyfile(manual.split("```python\n")[1].partition("```")[0])
    runs.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=6)
