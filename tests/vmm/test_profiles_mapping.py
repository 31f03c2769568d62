"""Profiles: who claims to be right, and where the others differ from ``strict``."""

import pytest
from support import PAGE, alloc
from vmm_support import CONTEXT, bare, blob, blobs, map_blob, prepare, send, submit, unmap, unref, with_blob

from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.rules import UNCHECKED, Rule
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.control import CtrlType

UNSPEC, PARAMETER = CtrlType.RESP_ERR_UNSPEC, CtrlType.RESP_ERR_INVALID_PARAMETER
OUT_OF_MEMORY = CtrlType.RESP_ERR_OUT_OF_MEMORY
every_profile = pytest.mark.parametrize("name", PROFILES)


def test_only_strict_claims_to_be_right() -> None:
    assert [name for name, profile in PROFILES.items() if profile.correct] == ["strict"]


@every_profile
def test_profile_is_found_under_its_name_and_says_whom_it_models(name: str) -> None:
    assert PROFILES[name].name == name
    assert PROFILES[name].models


@pytest.mark.parametrize("rule", Rule)
def test_strict_differs_nowhere_from_the_rules_own_answer(rule: Rule) -> None:
    assert PROFILES["strict"].verdict(rule) is rule.strict


@every_profile
def test_profile_lists_only_what_differs(name: str) -> None:
    for rule, verdict in PROFILES[name].differs.items():
        assert verdict is not rule.strict


@pytest.mark.parametrize(
    ("name", "missing", "no_room"),
    [("strict", PARAMETER, OUT_OF_MEMORY), ("crosvm", UNSPEC, UNSPEC), ("qemu-virgl", UNSPEC, UNSPEC)],
)
def test_what_the_renderer_refuses_is_answered_as_that_vmm_does(
    name: str, missing: CtrlType, no_room: CtrlType
) -> None:
    with bare(profile=PROFILES[name], max_fds=1) as pair:
        prepare(pair, [CONTEXT, submit(alloc())])
        assert send(pair, blob(blob_id=2)).type == missing
        assert send(pair, submit(alloc(blob_id=2))).type == no_room
        assert send(pair, submit(b"\1")).type == UNSPEC


@pytest.mark.parametrize(("name", "mapped"), [("strict", False), ("crosvm", False), ("qemu-virgl", True)])
def test_only_qemu_maps_what_nobody_knows_the_attribute_of(name: str, mapped: bool) -> None:
    with bare(profile=PROFILES[name]) as pair:
        prepare(pair, [CONTEXT, *with_blob(exporter=ExporterKind.SILENT)])
        answer = send(pair, map_blob(offset=PAGE))
        assert answer == RespMapInfo(map_info=0) if mapped else answer.type == UNSPEC
        assert [slot.offset for slot in pair.parts.region] == [PAGE] * mapped
        (known,) = blobs(pair.parts.device).values()
        assert (known.offset is not None) == mapped


@pytest.mark.parametrize("name", ["strict", "qemu-virgl"])
def test_blob_can_be_mapped_again_where_unmapping_keeps_its_descriptor(name: str) -> None:
    with bare(profile=PROFILES[name]) as pair:
        life = [CONTEXT, *with_blob(exporter=ExporterKind.WC), map_blob(), unmap(), map_blob(offset=PAGE), unref()]
        prepare(pair, life)
        assert pair.parts.leaks() == []


def test_rule_that_a_profile_does_not_check_is_passed_over() -> None:
    careless = Profile(
        name="careless", models="nobody", differs={Rule.MAP_ALIGNED: UNCHECKED, Rule.UNMAP_MAPPED: UNCHECKED}
    )
    with bare(profile=careless) as pair:
        prepare(pair, [CONTEXT, *with_blob(), unmap()])
        assert list(pair.log.notes("refused")) == []


def test_profile_can_have_an_answer_of_its_own() -> None:
    odd = Profile(name="odd", models="nobody", differs={Rule.UNREF_KNOWN: CtrlType.RESP_ERR_INVALID_SCANOUT_ID})
    with bare(profile=odd) as pair:
        assert send(pair, unref(9)).type == CtrlType.RESP_ERR_INVALID_SCANOUT_ID
        assert send(pair, unmap(9)).type == CtrlType.RESP_ERR_INVALID_RESOURCE_ID
