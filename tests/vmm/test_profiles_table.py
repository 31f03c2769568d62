"""Every cell of the table of conditions is provoked on a device of its profile, and answered as that VMM does."""

from collections.abc import Callable

import pytest
from profile_probe import Probe
from profiles_table import COLUMNS, LIBKRUN, cells
from provocations import PROVOCATIONS, features, options

from vgpu_emu.link.chain import Used
from vgpu_emu.trace.log import Note
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.edid import edid_block
from vgpu_emu.vmm.rules import BESIDE_TABLE, Rule
from vgpu_wire.control import CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.messages import OK_RESPONSE, parse_message

ERRORS = {
    "UN": CtrlType.RESP_ERR_UNSPEC,
    "OOM": CtrlType.RESP_ERR_OUT_OF_MEMORY,
    "SC": CtrlType.RESP_ERR_INVALID_SCANOUT_ID,
    "RID": CtrlType.RESP_ERR_INVALID_RESOURCE_ID,
    "CTX": CtrlType.RESP_ERR_INVALID_CONTEXT_ID,
    "PAR": CtrlType.RESP_ERR_INVALID_PARAMETER,
}
ALL = frozenset(Feature)


def body(used: Used) -> bytes:
    return used.written[24:]


def slots(probe: Probe) -> list[tuple[int, int]]:
    """(offset, bytes) of what is mapped."""
    return [(slot.offset, slot.length) for slot in probe.device.region]


#: what an OK says or leaves behind
MEANINGS: dict[str, Callable[[Probe, Used], bool]] = {
    "gone": lambda probe, _used: slots(probe) == [],
    "stays": lambda probe, _used: slots(probe) == [(4096, 4096)],
    "zero": lambda _probe, used: body(used) == bytes(16),
    "poison": lambda _probe, used: body(used) == b"\xff\xff\xff\xff" + bytes(12),
    "empty": lambda _probe, used: body(used) == b"",
    "default": lambda _probe, used: edid_block(1024, 768) in body(used),
    "id": lambda _probe, used: body(used) == bytes(15) + b"\x01",
    "v4": lambda _probe, used: body(used)[6] >> 4 == 4 and body(used)[8] >> 6 == 2,
    "both": lambda probe, _used: slots(probe) == [(0, 4096), (4 * 4096, 4096)],
    "over": lambda probe, _used: slots(probe) == [(0, 4096), (4096, 2 * 4096)],
    "NONE": lambda _probe, used: body(used) == bytes(8),
}


@pytest.mark.parametrize(("condition", "profile", "answer"), cells())
def test_vmm_answers_the_condition_as_the_table_says(condition: str, profile: str, answer: str) -> None:
    with Probe(profile, features(condition), **options(condition)) as probe:
        used = PROVOCATIONS[condition](probe)
        word, _, meaning = answer.rstrip("?").partition(":")
        if word == "dead":
            assert used is None
            assert probe.device.dead
            assert last_note(probe).name == "device_dead"
        elif word == "none":
            assert used is not None
            assert used.written == b""
        else:
            assert used is not None, "the device is dead"
            assert type_of(used) in expected(probe, word), parse_message(used.written)
        if meaning:
            assert used is not None
            assert MEANINGS[meaning](probe, used), (body(used), slots(probe))


def type_of(used: Used) -> int:
    return int.from_bytes(used.written[:4], "little")


def expected(probe: Probe, word: str) -> set[int]:
    """The response types that this word stands for. What is silently ignored has no payload."""
    if word != "OK":
        return {ERRORS[word]}
    request = next(m for m in reversed(list(probe.log.messages("controlq", "cursorq"))) if m.sender == "guest")
    success = OK_RESPONSE.get(CtrlType(int.from_bytes(request.data[:4], "little")), CtrlType.RESP_OK_NODATA)
    return {success}


def last_note(probe: Probe) -> Note:
    return [event for event in probe.log.events if isinstance(event, Note)][-1]


def test_every_condition_of_the_table_is_provoked_and_none_else() -> None:
    conditions = {condition for condition, _profile, _answer in cells()}
    assert conditions == set(PROVOCATIONS)
    assert conditions >= set(LIBKRUN)


def test_number_of_rows_and_cells() -> None:
    table = cells()
    assert len({condition for condition, _profile, _answer in table}) == 85
    assert {profile for _condition, profile, _answer in table} == set(PROFILES) == {*COLUMNS, "libkrun"}
    assert len(table) == 85 * 8
    decided_here = [cell for cell in table if cell[2].endswith("?")]
    assert len(decided_here) == 118


#: rules of the table that are broken elsewhere: by a renderer that refuses
BY_THE_RENDERER = {Rule.FENCE_MADE, Rule.RENDERER_ACCEPTS}


def test_every_rule_of_the_table_is_broken_by_a_condition() -> None:
    """Whoever adds a rule has to say whether the table has it."""
    seen: set[str] = set()
    for condition, provocation in PROVOCATIONS.items():
        for profile in PROFILES:
            with Probe(profile, features(condition), **options(condition)) as probe:
                provocation(probe)
                seen |= {note.values["rule"] for name in ("refused", "ignored") for note in probe.log.notes(name)}
                seen |= {note.values["at"] for note in probe.log.notes("device_dead")}
    assert {rule.name for rule in set(Rule) - BESIDE_TABLE - BY_THE_RENDERER} <= seen
