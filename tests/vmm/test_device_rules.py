"""Every rule broken once under `strict`: exactly its answer, its name in the log, and nothing changed."""

import pytest
from device_kit import Rig
from furnished import MEMORY, furnish
from rule_cases import (
    CASES,
    CONTEXT_ID,
    OK,
    OUT_OF_MEMORY,
    RESOURCE_ID,
    SCANOUT_ID,
    UNBREAKABLE,
    UNSPEC,
    Case,
)

from vgpu_emu.assembly import Config
from vgpu_emu.drive.requests import FENCE
from vgpu_emu.vmm.rules import UNCHECKED, Rule
from vgpu_wire.control import CtrlHdr


def test_every_rule_is_broken_here() -> None:
    assert {case.rule for case in CASES} == set(Rule) - UNBREAKABLE


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_broken_rule_has_its_answer_and_changes_nothing(case: Case) -> None:
    with Rig(Config(guest_memory=MEMORY)) as rig:
        furnish(rig)
        case.prepare(rig)
        before = rig.state()
        written = rig.exchange(case.data, queue=case.queue)
        assert int.from_bytes(written[:4], "little") == case.expected
        if case.expected is OK:
            assert case.rule.strict is UNCHECKED
            assert not rig.refused_rules()
            return
        assert case.rule.strict is case.expected
        assert rig.refused_rules() == [case.rule.name]
        assert len(written) == 24
        assert rig.state() == before


@pytest.mark.parametrize("case", [case for case in CASES if case.expected is not OK], ids=str)
def test_a_refused_request_gets_its_fence_back(case: Case) -> None:
    data = case.data.ljust(24, b"\0")
    with Rig(Config(guest_memory=MEMORY)) as rig:
        furnish(rig)
        case.prepare(rig)
        fenced = (
            data[:4] + (FENCE | int.from_bytes(data[4:8], "little")).to_bytes(4, "little") + b"\x5a" * 8 + data[16:]
        )
        answer = CtrlHdr.parse(rig.exchange(fenced, queue=case.queue)[:24])
        assert answer.flags & FENCE
        assert answer.fence_id == 0x5A5A5A5A5A5A5A5A
        assert answer.ctx_id == int.from_bytes(data[16:20], "little")


def test_no_answer_of_strict_is_an_accident() -> None:
    """Unknown ids, ranges, limits and states each have their own kind of error."""
    for rule in Rule:
        if rule.name.endswith("_LIMIT"):
            assert rule.strict is OUT_OF_MEMORY
        if rule.name.endswith("_KNOWN") and rule.strict not in (RESOURCE_ID, CONTEXT_ID, SCANOUT_ID):
            names = {"COMMAND_KNOWN", "CAPSET_KNOWN", "CTX_CREATE_CAPSET_KNOWN", "MAP_INFO_KNOWN"}
            assert rule.name in names
        if rule.name.endswith("_NEGOTIATED"):
            assert rule.strict is UNSPEC
