"""What a step may expect, and how that is compared with what was seen.

Nothing said, nothing compared, with three exceptions: a call that fails, a call that hangs and mappings that contradict
each other have to be expected.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from vgpu_emu.scenario.seen import Seen
from vgpu_emu.scenario.words import ErrnoName, MapInfoName, PgprotName, ResponseName, RuleName, map_info
from vgpu_emu.trace.hextext import bytes_from_hex
from vgpu_emu.trace.words import map_info_words

_Says = bool | str | list[str]


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What has to be seen when the step is over."""

    response: Annotated[
        ResponseName | None, Meta(description="Type of the device's answer to the step's command; nothing: none came.")
    ] = None
    rule: Annotated[
        RuleName | None,
        Meta(description="A rule that the VMM saw broken: it refused the command, ignored it, or died."),
    ] = None
    errno: Annotated[ErrnoName | None, Meta(description="What the guest's call fails with.")] = None
    map_info: Annotated[
        MapInfoName | int | None, Meta(description="The number in the answer to RESOURCE_MAP_BLOB, or its word.")
    ] = None
    pgprot: Annotated[PgprotName | None, Meta(description="The page protection that the guest maps with.")] = None
    bytes_: Annotated[str | None, Meta(description="The bytes that were read, in hex.")] = msgspec.field(
        default=None, name="bytes"
    )
    text: Annotated[str | None, Meta(description="The bytes that were read, as text.")] = None
    value: Annotated[Any, Meta(description="What the call returned; of a table, the members that are named.")] = None
    fields: Annotated[
        dict[str, Any] | None, Meta(description="Members of the answer, by their names in C, such as capset_id.")
    ] = None
    fenced: Annotated[bool | None, Meta(description="Whether the answer carries FLAG_FENCE.")] = None
    ring: Annotated[int | None, Meta(description="ring_idx of an answer with FLAG_INFO_RING_IDX.")] = None
    conflict: Annotated[
        _Says,
        Meta(description="Mappings contradict each other: true, or words for it; of a list, each for one at least."),
    ] = False
    trace: Annotated[
        Sequence[str],
        Meta(description="Lines of the ladder, in this order, others between them; * stands for anything."),
    ] = ()
    never: Annotated[Sequence[str], Meta(description="Lines that the ladder of this step does not have.")] = ()
    hangs: Annotated[bool | str, Meta(description="The call never returns: true, or words of what it waits for.")] = (
        False
    )
    seconds: Annotated[float | None, Meta(description="How much time passes meanwhile.")] = None
    device: Annotated[
        Literal["works", "dead", "needs-reset"] | None, Meta(description="What the device is afterwards.")
    ] = None

    def __post_init__(self) -> None:
        if self.bytes_ is not None:
            bytes_from_hex(self.bytes_)
        if self.hangs and self.errno:
            raise ValueError("a call that hangs has no errno")

    def conflicts(self) -> list[str]:
        """Words for each kind of conflict that is expected."""
        if isinstance(self.conflict, bool):
            return [""] if self.conflict else []
        return [self.conflict] if isinstance(self.conflict, str) else self.conflict


class Mismatch(msgspec.Struct, frozen=True):
    """what: the expectation, as the file calls it."""

    what: str
    expected: str
    actual: str


def mismatches(expect: Expect, seen: Seen) -> Iterator[Mismatch]:
    """Everything that is not as expected, what the file does not ask for included."""
    yield from _success(expect, seen)
    for what, (actual, shown) in _COMPARED.items():
        wanted = getattr(expect, what)
        if wanted is not None:
            found = actual(seen)
            if shown(wanted) != shown(found):
                yield Mismatch(what.rstrip("_"), shown(wanted), shown(found))
    yield from _rules(expect, seen)
    yield from _members(expect, seen)
    yield from _lines(expect, seen)


def _success(expect: Expect, seen: Seen) -> Iterator[Mismatch]:
    """Whether the call came back as it should have."""
    if seen.hangs is not None or expect.hangs:
        wanted = expect.hangs if isinstance(expect.hangs, str) else ""
        if seen.hangs is None or not expect.hangs or wanted not in seen.hangs:
            says = f"for {wanted}" if wanted else "yes" if expect.hangs else "no"
            yield Mismatch("hangs", says, "no" if seen.hangs is None else f"for {seen.hangs}")
        return
    if expect.errno != seen.errno:
        detail = f" ({seen.error})" if seen.error else ""
        yield Mismatch("errno", expect.errno or "success", (seen.errno or "success") + detail)


def _rules(expect: Expect, seen: Seen) -> Iterator[Mismatch]:
    if expect.rule is not None and seen.knows_rules and expect.rule not in seen.rules():
        yield Mismatch("rule", expect.rule, ", ".join(seen.rules()) or "none was broken")


def _members(expect: Expect, seen: Seen) -> Iterator[Mismatch]:
    if expect.fields is not None:
        yield from _subset("fields", expect.fields, seen.fields())
    if expect.value is not None:
        yield from _subset("value", expect.value, seen.value)


def _subset(path: str, wanted: Any, found: Any) -> Iterator[Mismatch]:
    """Of tables, the members that are named; of arrays, the first elements; of all else, equality."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name, part in wanted.items():
            yield from _subset(f"{path}.{name}", part, found.get(name, "no such member"))
    elif isinstance(wanted, list) and isinstance(found, list):
        for index, part in enumerate(wanted):
            yield from _subset(f"{path}[{index}]", part, found[index] if index < len(found) else "no such element")
    elif isinstance(found, bytes) and isinstance(wanted, str):
        if found not in {wanted.encode(), _hex_or_none(wanted)}:
            yield Mismatch(path, wanted, found.hex(" "))
    elif wanted != found or isinstance(wanted, bool) != isinstance(found, bool):
        yield Mismatch(path, _plain(wanted), _plain(found))


def _hex_or_none(text: str) -> bytes | None:
    try:
        return bytes_from_hex(text)
    except ValueError:
        return None


def _lines(expect: Expect, seen: Seen) -> Iterator[Mismatch]:
    if not expect.trace and not expect.never:
        return
    lines = seen.ladder()
    place = 0
    for pattern in expect.trace:
        found = next((i for i in range(place, len(lines)) if matches(pattern, lines[i])), None)
        if found is None:
            seen_before = any(matches(pattern, line) for line in lines[:place])
            yield Mismatch("trace", pattern, "only earlier" if seen_before else "not in the ladder of this step")
            return
        place = found + 1
    for pattern in expect.never:
        for line in lines:
            if matches(pattern, line):
                yield Mismatch("never", f"no line with {pattern}", line)


def matches(pattern: str, line: str) -> bool:
    """Whether the parts of the pattern, which ``*`` separates, are in the line in this order."""
    place = 0
    for part in pattern.split("*"):
        found = line.find(part.strip(), place)
        if found < 0:
            return False
        place = found + len(part.strip())
    return True


# -- how a value is written in a difference


def _plain(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if -4096 < value < 4096 else f"{value:#x}"
    return "nothing" if value is None else str(value)


def _map_info(value: MapInfoName | int | None) -> str:
    if value is None:
        return "nothing"
    number = map_info(value)
    return f"{number} ({map_info_words(number)})"


def _bytes(value: str | bytes | None) -> str:
    if value is None:
        return "nothing"
    return (bytes_from_hex(value) if isinstance(value, str) else value).hex(" ")


def _text(value: str | bytes | None) -> str:
    if value is None:
        return "nothing"
    return repr(value if isinstance(value, str) else value.decode(errors="backslashreplace"))


def _seconds(value: float) -> str:
    return f"{value:.6g} s"


#: expectation -> what was seen of it, and the words for both
_COMPARED: dict[str, tuple[Callable[[Seen], Any], Callable[[Any], str]]] = {
    "response": (Seen.response, _plain),
    "map_info": (Seen.map_info, _map_info),
    "pgprot": (lambda seen: seen.pgprot, _plain),
    "bytes_": (lambda seen: seen.data, _bytes),
    "text": (lambda seen: seen.data, _text),
    "fenced": (Seen.fenced, _plain),
    "ring": (Seen.ring, _plain),
    "seconds": (lambda seen: seen.seconds, _seconds),
    "device": (lambda seen: seen.device, _plain),
}
