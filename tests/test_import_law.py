"""The import law: a file imports only from floors below its own, so that no party can reach around the wire.

The parties share bytes and nothing else: guest, VMM and host never import each other. What stands below the machine
knows no event loop, and nothing that is slow to import is imported before it is used.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
#: the parties joined: with trio, in lockstep, under faults
MACHINE = {
    "machine",
    "shell",
    "parties",
    "lockstep",
    "assembly",
    "recording",
    "aliasing",
    "simulation",
    "faults",
    "restarting",
    "processes",
}
#: floor -> its rooms, each a package or module of vgpu_emu; the rooms of a floor do not know each other
FLOORS: list[list[set[str]]] = [
    [{"ids", "vocabulary", "memory", "trace"}],
    [{"host"}, {"link"}, {"attributes"}],
    [{"vmm"}, {"guest"}],
    [MACHINE],
    [{"peers"}],
    [{"propagation", "matrix", "explanation", "replaying", "replaying_device"}, {"scenario"}, {"report"}, {"drive"}],
    [{"fuzz"}],
    [{"testing"}],
    [{"cli", "__main__", "vgpu_emu", "pytest_plugin"}],
]
#: whoever stands on which floor, these never import each other
PARTIES = {"guest", "vmm", "host"}
KNOWS_TRIO = {"link", *{name for floor in FLOORS[3:] for room in floor for name in room}}
#: only ever imported inside of a function
HEAVY = {"numpy", "hypothesis", "jinja2", "trio.testing", "pytest"}
#: who is only ever imported by what is heavy
LOADED_BY = {"pytest_plugin": "pytest"}
WIRE_NEEDS = {"construct", "msgspec", "vgpu_wire"}


class Import(NamedTuple):
    """An import statement. inside: of a function."""

    module: str
    inside: bool


def imports(source: str) -> Iterator[Import]:
    """Every module that a file names in an import, wherever it does so."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # `from package import module` may name either
            yield Import(str(node.module), id(node) in inside)
            yield from (Import(f"{node.module}.{alias.name}", id(node) in inside) for alias in node.names)


def room_of(name: str) -> tuple[int, set[str]]:
    for floor, rooms in enumerate(FLOORS):
        for room in rooms:
            if name in room:
                return floor, room
    raise AssertionError(f"{name} has no floor yet: give it one in FLOORS")


def breaches(name: str, source: str) -> list[str]:
    """What a file of vgpu_emu, of the package or module `name`, imports though it must not."""
    floor, room = room_of(name)
    found = []
    for module, inside in imports(source):
        top, _, rest = module.partition(".")
        target = rest.partition(".")[0]
        if module in HEAVY and not inside and module != LOADED_BY.get(name):
            found.append(f"{name}: {module} before it is needed")
        if top == "trio" and name not in KNOWS_TRIO:
            found.append(f"{name}: trio")
        if top == "vgpu_emu" and target not in room and _is_ours(target):
            too_high = room_of(target)[0] >= floor
            if too_high or {name, target} <= PARTIES:
                found.append(f"{name}: {module}")
    return found


def _is_ours(target: str) -> bool:
    """Not a name that vgpu_emu/__init__.py gives, such as Config, and not the package itself."""
    package = ROOT / "vgpu_emu" / target
    return bool(target) and (package.is_dir() or package.with_suffix(".py").is_file())


FILES = sorted((ROOT / "vgpu_emu").rglob("*.py"))
WIRE_FILES = sorted((ROOT / "protocol" / "vgpu_wire").rglob("*.py"))


def _name(path: Path) -> str:
    first = path.relative_to(ROOT / "vgpu_emu").parts[0]
    return "vgpu_emu" if first == "__init__.py" else first.removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_imports_only_from_floors_below(path: Path) -> None:
    assert breaches(_name(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", WIRE_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_wire_layer_needs_construct_and_msgspec_only(path: Path) -> None:
    tops = {module.partition(".")[0] for module, _ in imports(path.read_text(encoding="utf-8"))}
    assert tops - WIRE_NEEDS <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("name", "source", "breach"),
    [
        ("guest", "from vgpu_emu.vmm.device import Device", "guest: vgpu_emu.vmm.device"),
        ("guest", "import vgpu_emu.host.renderer", "guest: vgpu_emu.host.renderer"),
        ("guest", "def late():\n    from vgpu_emu import host", "guest: vgpu_emu.host"),
        ("vmm", "from vgpu_emu.host import dmabuf", "vmm: vgpu_emu.host"),
        ("vmm", "from vgpu_emu.guest.driver import Driver", "vmm: vgpu_emu.guest.driver"),
        ("host", "from vgpu_emu.guest.vma import Vma", "host: vgpu_emu.guest.vma"),
        ("host", "from vgpu_emu.link.chain import Chain", "host: vgpu_emu.link.chain"),
        ("host", "from typing import X\nif X:\n    from vgpu_emu.vmm import device", "host: vgpu_emu.vmm"),
        ("attributes", "from vgpu_emu.host.exporters import EXPORTERS", "attributes: vgpu_emu.host.exporters"),
        ("trace", "from vgpu_emu.link.chain import Chain", "trace: vgpu_emu.link.chain"),
        ("vocabulary", "from vgpu_emu.cli import main", "vocabulary: vgpu_emu.cli"),
        ("vmm", "import trio", "vmm: trio"),
        ("guest", "def late():\n    import trio.lowlevel", "guest: trio"),
        ("machine", "from trio.testing import MockClock", "machine: trio.testing before it is needed"),
        ("testing", "import pytest", "testing: pytest before it is needed"),
        ("pytest_plugin", "import hypothesis", "pytest_plugin: hypothesis before it is needed"),
        ("cli", "import jinja2", "cli: jinja2 before it is needed"),
        ("attributes", "import numpy as np", "attributes: numpy before it is needed"),
    ],
)
def test_law_finds_its_breaches(name: str, source: str, breach: str) -> None:
    assert breach in breaches(name, source)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("vmm", "from vgpu_emu.link.region import HostVisibleRegion"),
        ("guest", "from vgpu_emu.guest.vma import Vma"),
        ("link", "import trio"),
        ("machine", "def late():\n    from trio.testing import MockClock"),
        ("cli", "from vgpu_emu import Config, open_machine"),
        ("host", "from vgpu_wire.blob import MapCache"),
        ("pytest_plugin", "import pytest"),
    ],
)
def test_law_allows_what_it_should(name: str, source: str) -> None:
    assert breaches(name, source) == []


def test_package_without_a_floor_is_named() -> None:
    with pytest.raises(AssertionError, match="cellar has no floor yet"):
        breaches("cellar", "")
