"""A file becomes scenarios: one, or one for each row of its parameters."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from vgpu_emu.scenario.configuring import config_of
from vgpu_emu.scenario.lines import line_of, lines_of
from vgpu_emu.scenario.mistakes import ScenarioMistake, a, explain, nearest
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.steps import Step
from vgpu_emu.scenario.watching import unfit
from vgpu_emu.scenario.world import PROGRAM
from vgpu_emu.vmm.catalogue import ProfileError

#: what a file of scenarios is called
SUFFIX = ".vgpu.toml"
#: bytes of a file, rows of its parameters
MAX_FILE, MAX_ROWS = 1 << 20, 1000
_SUBSTITUTE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def load(path: Path) -> list[Scenario]:
    """The scenarios of a file, in the order of their rows. Raises ScenarioMistake; OSError if it cannot be read."""
    with path.open("rb") as stream:
        data = stream.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise ScenarioMistake(str(path), None, "", f"more than {MAX_FILE} bytes are no scenario")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ScenarioMistake(str(path), None, "", f"it is no UTF-8 text: byte {error.start}") from None
    return loads(text, str(path))


def loads(text: str, file: str = "<text>") -> list[Scenario]:
    """As `load`, of text. file: what it is called in a mistake."""
    return list(_File(text, file).scenarios())


class _File:
    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.text = text
        try:
            self.data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            place = _LINE.search(str(error))
            line = int(place[1]) if place and place[1] else None
            raise ScenarioMistake(name, line, "", f"it is no TOML: {_LINE.sub('', str(error))}") from None
        except RecursionError:
            raise ScenarioMistake(name, None, "", "it is no TOML: too deeply nested") from None

    def scenarios(self) -> Iterator[Scenario]:
        rows = self.data.get("parameters", [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.mistake("parameters", "it is an array of tables: [[parameters]]")
        if len(rows) > MAX_ROWS:
            raise self.mistake("parameters", f"{len(rows)} rows; {MAX_ROWS} are enough")
        names: set[str] = set()
        for number, row in enumerate(rows or [None]):
            scenario = self._row(number, row)
            if scenario.id in names:
                raise self.mistake(f"parameters[{number}]", f"a second {scenario.id}: give the rows different names")
            names.add(scenario.id)
            yield scenario

    def _row(self, number: int, row: Mapping[str, Any] | None) -> Scenario:
        data = {key: value for key, value in self.data.items() if key != "parameters"}
        if row is not None:
            data = self._substituted(data, row, "")
        try:
            scenario = msgspec.convert(data, Scenario)
        except msgspec.ValidationError as error:
            raise self.mistake(*explain(error, Scenario, data)) from None
        self._check(scenario)
        if row is None:
            return scenario
        return msgspec.structs.replace(scenario, id=f"{scenario.id}@{_row_name(number, row)}")

    def _substituted(self, value: Any, row: Mapping[str, Any], path: str) -> Any:
        """The value with the row's values in the place of their names."""
        if isinstance(value, dict):
            return {key: self._substituted(each, row, f"{path}.{key}".lstrip(".")) for key, each in value.items()}
        if isinstance(value, list):
            return [self._substituted(each, row, f"{path}[{index}]") for index, each in enumerate(value)]
        if not isinstance(value, str):
            return value
        names = _SUBSTITUTE.findall(value)
        for name in names:
            if name not in row:
                raise self.mistake(path, f"no parameter {name}{nearest(name, row)}")
        if names and value == f"{{{names[0]}}}":
            return row[names[0]]
        return _SUBSTITUTE.sub(lambda found: str(row[found[1]]), value)

    def _check(self, scenario: Scenario) -> None:
        """What the types cannot say: names that stand for something, and a machine that there can be."""
        known = {PROGRAM: "file"}
        for number, step in enumerate(scenario.step):
            self._check_names(step, f"step[{number}]", known)
        for path, detail in unfit(scenario):
            raise self.mistake(path, detail)
        try:
            config_of(scenario)
        except ProfileError as error:
            raise self.mistake("profile", str(error)) from None
        except ValueError as error:
            member = "features" if "offer" in str(error) else "platform" if scenario.platform else ""
            raise self.mistake(member, str(error)) from None

    def _check_names(self, step: Step, path: str, known: dict[str, str]) -> None:
        for member, name, kind in step.references():
            if name not in known:
                names = [each for each, its in known.items() if its == kind]
                detail = nearest(name, names) if names else f"; no step before has made {a(kind)}"
                raise self.mistake(f"{path}.{member}", f"nothing is called {name}{detail}")
            if kind not in {known[name], "*"}:
                raise self.mistake(f"{path}.{member}", f"{name} is {a(known[name])}, and {a(kind)} is needed")
        for inside, inner in step.inner():
            if inner.expect.conflict:
                raise self.mistake(f"{path}.{inside}.expect", "a conflict is expected of the step around it")
            self._check_names(inner, f"{path}.{inside}", known)
        if step.as_ is not None:
            if not step.gives:
                raise self.mistake(f"{path}.as", f"a step {step.__struct_config__.tag} gives nothing that has a name")
            if step.as_ == PROGRAM:
                raise self.mistake(f"{path}.as", f"{PROGRAM} is the file that is always there: take another name")
            known[step.as_] = step.gives

    def mistake(self, path: str, detail: str) -> ScenarioMistake:
        return ScenarioMistake(self.name, line_of(lines_of(self.text), path), path, detail)


def _row_name(number: int, row: Mapping[str, Any]) -> str:
    """What a row is called: by its `name`, else by its first value."""
    name = str(row.get("name", next(iter(row.values()), number)))
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or str(number)
