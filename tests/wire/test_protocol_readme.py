"""protocol/README.md and the docstring of vgpu_wire say what is in the package; the examples run."""

import pkgutil
import re
from pathlib import Path

import pytest

import vgpu_wire
from vgpu_wire.control import FIRST_RESPONSE, CtrlHdr, CtrlType
from vgpu_wire.messages import MESSAGES, OK_RESPONSE, type_name

README = Path(__file__).parents[2].joinpath("protocol", "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def _structure(cls: type[CtrlHdr]) -> str:
    layout, tail = cls.layout, cls.layout.tail
    fixed = f"`{layout.name}` {layout.size}"
    if tail is None:
        return fixed
    element = f"`{tail.record.layout.name}` {tail.size}" if tail.record else "bytes"
    return f"{fixed} + {tail.counter} x {element}" if tail.counter else f"{fixed} + {tail.name}"


def _row(number: int) -> str:
    cells = [f"0x{number:04x}", type_name(number), _structure(MESSAGES[number])]
    if number < FIRST_RESPONSE:
        answer = OK_RESPONSE.get(number, CtrlType.RESP_OK_NODATA)
        cells.append(f"0x{answer:04x} {type_name(answer)}")
    return f"| {' | '.join(cells)} |"


def test_table_of_messages_is_that_of_the_package() -> None:
    assert re.findall(r"^\| 0x.*$", README, flags=re.MULTILINE) == [_row(number) for number in MESSAGES]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_runs(number: int) -> None:
    exec(compile(EXAMPLES[number], "protocol/README.md", "exec"), {"__name__": "readme"})


def test_docstring_lists_every_module() -> None:
    listed = re.findall(r"^([a-z_]+) +", str(vgpu_wire.__doc__), flags=re.MULTILINE)
    assert sorted(listed) == sorted(info.name for info in pkgutil.iter_modules(vgpu_wire.__path__))
