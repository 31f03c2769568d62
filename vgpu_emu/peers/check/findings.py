"""What the guest's program printed: lines ``@NAME key=value ...`` among whatever else the serial port carried."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

DONE = "@@DONE"
#: two "@" and a name may follow something that the kernel wrote without a line's end
_LINE = re.compile(r"@(?P<name>[a-z][a-z0-9-]*)(?P<rest>( [a-z_0-9]+=.*)?)$")
_VALUE = re.compile(r" (?P<key>[a-z_0-9]+)=(?P<value>\S*)")


@dataclass(frozen=True)
class Finding:
    """One line. The value of `text` may hold spaces."""

    name: str
    values: dict[str, str]

    def __getitem__(self, key: str) -> str:
        """A value; empty if the line has none of this name."""
        return self.values.get(key, "")

    def number(self, key: str) -> int:
        """A value that is a number; -1 if there is none: the kernel may have written in the middle of the line."""
        text = self[key]
        return int(text) if text.isascii() and text.isdecimal() else -1


def parse(line: str) -> Finding | None:
    """The finding in a line of the serial port, if it is one."""
    match = _LINE.search(line.rstrip())
    if match is None:
        return None
    short, text, long = match["rest"].partition(" text=")
    values = {value["key"]: value["value"] for value in _VALUE.finditer(short)}
    if text:
        values["text"] = long
    return Finding(match["name"], values)


class Findings:
    """All that one guest found, in order."""

    def __init__(self, lines: Iterable[str]) -> None:
        lines = list(lines)
        self.all = [finding for finding in map(parse, lines) if finding is not None]
        #: whether the guest came to its end
        self.done = any(DONE in line for line in lines)

    def named(self, name: str, **values: object) -> Iterator[Finding]:
        """Findings of this name that have these values."""
        for finding in self.all:
            if finding.name == name and all(finding[key] == str(value) for key, value in values.items()):
                yield finding

    def one(self, name: str, **values: object) -> Finding | None:
        return next(self.named(name, **values), None)
