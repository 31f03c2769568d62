"""On which line of a TOML file a member is: the decoder gives values without places."""

import re
from collections.abc import Iterator

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*([A-Za-z0-9_."'-]+?)\s*=(.*)$""")
_FENCES = ('"""', "'''")


def lines_of(text: str) -> dict[str, int]:
    """Path -> line, of every table and of every member that starts a line: ``step[3].expect`` is on line 27.

    Members of inline tables are where the table starts.
    """
    places: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in _outside_of_strings(text):
        if header := _HEADER.match(line):
            table = _table(header[2], counts, repeated=header[1] == "[[")
            places.setdefault(table, number)
            places.setdefault(table.removesuffix("[0]"), number)
        elif key := _KEY.match(line):
            path = table
            for part in _plain(key[1]).split("."):
                path = f"{path}.{part}".lstrip(".")
                places.setdefault(path, number)
    return places


def line_of(places: dict[str, int], path: str) -> int | None:
    """The line of the member, or of the innermost thing around it that has one."""
    while path:
        if path in places:
            return places[path]
        path = re.sub(r"(\.[^.\[\]]+|\[[^\]]*\]|^[^.\[\]]+)$", "", path)
    return None


def _outside_of_strings(text: str) -> Iterator[tuple[int, str]]:
    """The lines, less those inside of a string of several lines."""
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        if fence:
            fence = "" if fence in line else fence
            continue
        yield number, line
        fence = next((each for each in _FENCES if line.count(each) % 2), "")


def _table(name: str, counts: dict[str, int], *, repeated: bool) -> str:
    """The path of a header, where ``[[step]]`` is the next step, and ``[step.expect]`` belongs to the last."""
    path = ""
    parts = [_plain(part) for part in name.split(".")]
    for index, part in enumerate(parts):
        path = f"{path}.{part}".lstrip(".")
        if repeated and index == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = f"{path}[{counts[path]}]"
    return path


def _plain(key: str) -> str:
    return re.sub(r"""["'\s]""", "", key)
