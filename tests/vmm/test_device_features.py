"""Every command is gated by its feature bit, and by no other; features that lack what they need are refused."""

from itertools import chain, combinations

import pytest
from device_kit import Rig
from test_device_commands import CONFIG, SUCCESSES, Success

from vgpu_emu.assembly import Config, assemble
from vgpu_emu.trace.log import Log
from vgpu_emu.vmm.displays import Cursor
from vgpu_emu.vmm.profiles import Profile
from vgpu_wire.control import FIRST_ERROR, CtrlType
from vgpu_wire.device import CURSORQ, Feature
from vgpu_wire.display import CursorPos, UpdateCursor

VIRGL, BLOB = Feature.VIRGL, Feature.RESOURCE_BLOB
#: command -> its feature (virtio 1.4, 5.7.6.8 and 5.7.6.9); the others are there always
NEEDS = {
    CtrlType.GET_EDID: Feature.EDID,
    CtrlType.RESOURCE_ASSIGN_UUID: Feature.RESOURCE_UUID,
    CtrlType.RESOURCE_CREATE_BLOB: BLOB,
    CtrlType.SET_SCANOUT_BLOB: BLOB,
    CtrlType.RESOURCE_MAP_BLOB: BLOB,
    CtrlType.RESOURCE_UNMAP_BLOB: BLOB,
    CtrlType.GET_CAPSET_INFO: VIRGL,
    CtrlType.GET_CAPSET: VIRGL,
    CtrlType.CTX_CREATE: VIRGL,
    CtrlType.CTX_DESTROY: VIRGL,
    CtrlType.CTX_ATTACH_RESOURCE: VIRGL,
    CtrlType.CTX_DETACH_RESOURCE: VIRGL,
    CtrlType.RESOURCE_CREATE_3D: VIRGL,
    CtrlType.TRANSFER_TO_HOST_3D: VIRGL,
    CtrlType.TRANSFER_FROM_HOST_3D: VIRGL,
    CtrlType.SUBMIT_3D: VIRGL,
}
#: what a request here needs beyond its command: a HOST3D blob, a context with a capset
ALSO = {CtrlType.RESOURCE_CREATE_BLOB: {VIRGL}, CtrlType.CTX_CREATE: {Feature.CONTEXT_INIT}}
GATED = [success for success in SUCCESSES if success.command in NEEDS]


def answered(success: Success, features: set[Feature]) -> tuple[int, list[str]]:
    """The answer's type, and the rules that it says were broken, if only these features are negotiated."""
    with Rig(CONFIG) as rig:
        success.prepare(rig)
        rig.device.features = frozenset(features)
        written = rig.exchange(success.request, queue=success.queue)
        return int.from_bytes(written[:4], "little"), rig.refused_rules()


@pytest.mark.parametrize("success", GATED, ids=lambda success: success.command.name)
def test_command_without_its_feature_is_unspec_though_all_others_are_there(success: Success) -> None:
    answer, rules = answered(success, set(Feature) - {NEEDS[success.command]})
    assert answer == CtrlType.RESP_ERR_UNSPEC
    assert len(rules) == 1
    assert rules[0].endswith("_NEGOTIATED")


@pytest.mark.parametrize("success", SUCCESSES, ids=lambda success: success.command.name)
def test_command_needs_no_feature_but_its_own(success: Success) -> None:
    needed = {NEEDS[success.command]} if success.command in NEEDS else set()
    answer, rules = answered(success, needed | ALSO.get(success.command, set()))
    assert answer < FIRST_ERROR
    assert rules == []


@pytest.mark.parametrize("success", GATED, ids=lambda success: success.command.name)
def test_command_that_is_not_negotiated_changes_nothing(success: Success) -> None:
    with Rig(CONFIG) as rig:
        success.prepare(rig)
        rig.device.features -= {NEEDS[success.command]}
        before = rig.state()
        rig.exchange(success.request, queue=success.queue)
        assert rig.state() == before


# -- negotiation

SETS = list(chain.from_iterable(combinations(Feature, size) for size in range(len(Feature) + 1)))


def whole(features: set[Feature]) -> bool:
    """5.7.3: CONTEXT_INIT requires VIRGL; there is no alignment of blobs without blobs."""
    init = Feature.CONTEXT_INIT not in features or VIRGL in features
    return init and (Feature.BLOB_ALIGNMENT not in features or BLOB in features)


@pytest.mark.parametrize("features", SETS, ids=lambda features: "+".join(f.name for f in features) or "none")
def test_features_are_accepted_with_what_they_need_and_refused_without(features: tuple[Feature, ...]) -> None:
    with Rig(CONFIG) as rig:
        before = rig.device.features
        accepted = rig.device.negotiate(frozenset(features))
        assert accepted == whole(set(features))
        assert rig.device.features == (frozenset(features) if accepted else before)


@pytest.mark.parametrize("missing", Feature)
def test_a_feature_that_is_not_offered_is_refused(missing: Feature) -> None:
    with Rig(
        Config(profile=Profile(name="some", models="", offers=frozenset(Feature) - {missing}), features=frozenset())
    ) as rig:
        assert not rig.device.negotiate(frozenset({missing, VIRGL, BLOB}))
        assert rig.device.features == frozenset()


def test_a_machine_is_not_made_of_features_that_lack_what_they_need() -> None:
    with pytest.raises(ValueError, match="CONTEXT_INIT"):
        assemble(Config(features=frozenset({Feature.CONTEXT_INIT})), Log())


def test_after_a_reset_nothing_is_negotiated_until_the_driver_does_so_again() -> None:
    with Rig(CONFIG) as rig:
        rig.carry(rig.device.reset())
        assert rig.device.features == frozenset()
        assert rig.device.negotiate(frozenset({VIRGL}))
        assert rig.device.features == frozenset({VIRGL})


def test_after_a_reset_no_cursor_is_where_the_last_driver_left_it() -> None:
    with Rig(CONFIG) as rig:
        move = UpdateCursor(type=CtrlType.MOVE_CURSOR.value, pos=CursorPos(x=5, y=7))
        rig.exchange(move.build(), queue=CURSORQ)
        assert rig.device.displays.scanouts[0].cursor == Cursor(x=5, y=7)
        rig.carry(rig.device.reset())
        assert rig.device.displays.scanouts[0].cursor == Cursor()
