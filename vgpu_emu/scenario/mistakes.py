"""What is wrong with a scenario file: where, and what was probably meant."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec import inspect

from vgpu_emu.scenario.words import ID_PATTERN, NAME_PATTERN

_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_SEGMENT = re.compile(r"\.?([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_NAMED = re.compile(r"`(.*?)`")
_QUOTED = re.compile(r"^Invalid (?:enum )?value (.*)$")
#: pattern that a string does not match -> what that means
_PATTERNS = {
    ID_PATTERN: "an id is group@subtest, of small letters, digits, - and _, such as map-blob@wc-is-kept",
    NAME_PATTERN: "a name is of letters, digits, -, _ and .",
}
#: tag that is missing -> what it is missing from
_UNTAGGED = {"do": "a step", "fault": "a fault"}
_TYPES = {"int": "number", "float": "number", "str": "text", "bool": "true or false"}
_TYPES |= {"array": "list", "object": "table"}
#: words that are listed; of more, only the nearest
_MANY = 16


class ScenarioMistake(ValueError):  # noqa: N818 - the writer's, not ours
    """A file that is no scenario. line: where, if that is known. path: the member: ``step[3].expect.pgprot``."""

    def __init__(self, file: str, line: int | None, path: str, detail: str) -> None:
        place = f"{file}:{line}" if line is not None else file
        super().__init__(f"{place}: {path}: {detail}" if path else f"{place}: {detail}")
        self.file = file
        self.line = line
        self.path = path
        self.detail = detail


def a(kind: str) -> str:
    """The kind with its article."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def explain(error: msgspec.ValidationError, root: type, data: Any) -> tuple[str, str]:
    """Path and detail of what the decoder found wrong in `data`, which should have been a `root`."""
    found = _PATH.match(str(error))
    what, path = (found["what"], (found["path"] or "").lstrip(".")) if found else (str(error), "")
    node, owner = _walk(inspect.type_info(root), data, segments(path))
    if what.startswith("Object contains unknown field"):
        name = _named(what)
        return _join(path, name), f"{owner} has no {name}{nearest(name, _members(node))}"
    if what.startswith("Object missing required field"):
        name = _named(what)
        words = f"; it is one of {', '.join(_tags(node))}" if name == "do" and len(_tags(node)) <= _MANY else ""
        return path, f"{_UNTAGGED.get(name, owner)} needs {name}{words}"
    if bad := _QUOTED.match(what):
        word = bad[1].strip("'\"")
        return path, f"{word!r} is not a word for it{nearest(word, _words(node))}"
    for pattern, says in _PATTERNS.items():
        if pattern in what:
            return path, says
    return path, _plain(what)


def _plain(what: str) -> str:
    """The decoder's sentence in words of TOML: ``expected `number or list`, got `text```."""
    what = what[:1].lower() + what[1:].replace(" | null", "")
    return _NAMED.sub(lambda found: f"`{' or '.join(_TYPES.get(w, w) for w in found[1].split(' | '))}`", what)


def nearest(word: str, words: Iterable[str]) -> str:
    """``; did you mean 'wc'? There are cached, wc``"""
    known = sorted(set(words))
    close = get_close_matches(word, known, 3, 0.5) or get_close_matches(word.lower(), [k.lower() for k in known], 1)
    meant = f"; did you mean {' or '.join(close)}?" if close else ";"
    if len(known) > _MANY:
        return meant.rstrip(";") + ("" if close else "; vgpu-emu schema scenario lists what there is")
    return f"{meant} There are {', '.join(known)}" if close else f"; there are {', '.join(known)}"


def segments(path: str) -> list[str | int]:
    """``step[3].expect`` -> ``step``, 3, ``expect``"""
    found: list[str | int] = []
    for name, index in _SEGMENT.findall(path):
        found.append(name if name else int(index) if index.isdigit() else index)
    return found


def _named(what: str) -> str:
    found = _NAMED.search(what)
    return found[1] if found else ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# -- the type at a path, as msgspec tells of types


def _walk(node: Any, data: Any, path: Sequence[str | int]) -> tuple[Any, str]:
    """The type that `path` leads to, and the words for the table it belongs to."""
    owner = "the file"
    for segment in path:
        node = _chosen(node, data)
        if isinstance(node, inspect.StructType):
            owner = _owner(node, owner)
            node = next((f.type for f in node.fields if f.encode_name == segment), node)
        elif isinstance(segment, int) and hasattr(node, "item_type"):
            node = node.item_type
        if isinstance(node, inspect.DictType):
            break
        data = _inside(data, segment)
    chosen = _chosen(node, data)
    return chosen, _owner(chosen, owner)


def _owner(node: Any, outer: str) -> str:
    if not isinstance(node, inspect.StructType):
        return outer
    return (
        f"a step {node.tag}" if node.tag is not None else {"Scenario": "the file"}.get(node.cls.__name__, _kebab(node))
    )


def _kebab(node: inspect.StructType) -> str:
    return f"[{node.cls.__name__.lower()}]"


def _inside(data: Any, segment: str | int) -> Any:
    try:
        return data[segment]
    except (KeyError, IndexError, TypeError):
        return None


def _chosen(node: Any, data: Any) -> Any:
    """Without metadata; of a union, the structure that the data's tag chooses, or the list if it is one."""
    if isinstance(node, inspect.Metadata):
        return _chosen(node.type, data)
    if not isinstance(node, inspect.UnionType):
        return node
    members = [_chosen(member, data) for member in node.types]
    structs = [member for member in members if isinstance(member, inspect.StructType)]
    if isinstance(data, dict):
        tagged = [member for member in structs if member.tag is not None and member.tag == data.get(member.tag_field)]
        untagged = [member for member in structs if member.tag is None]
        chosen: Any = tagged or untagged or [node]
        return chosen[0]
    if isinstance(data, list):
        return next((member for member in members if hasattr(member, "item_type")), node)
    return node


def _members(node: Any) -> list[str]:
    """Names that a table may have."""
    if not isinstance(node, inspect.StructType):
        return []
    tag = [node.tag_field] if node.tag_field else []
    return tag + [field.encode_name for field in node.fields]


def _tags(node: Any) -> list[str]:
    if isinstance(node, inspect.UnionType):
        return [tag for member in node.types for tag in _tags(member)]
    return [str(node.tag)] if isinstance(node, inspect.StructType) and node.tag is not None else []


def _words(node: Any) -> list[str]:
    """What may stand in the place."""
    if isinstance(node, inspect.Metadata):
        return _words(node.type)
    if isinstance(node, inspect.LiteralType):
        return [str(value) for value in node.values]
    if isinstance(node, inspect.UnionType):
        return [word for member in node.types for word in _words(member)]
    if hasattr(node, "item_type"):
        return _words(node.item_type)
    return _tags(node)
