"""Probe, hot-plug, unbind and bind: what is asked, in which order, and what becomes of answers that do not come."""

from errno import ENODEV, ENOSYS

import pytest
from guest_kit import MODES, PAGE, PLAIN, UNSPEC, Guest, errno_of, refusal
from support import Call

from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.probe import MAX_CAPSETS, VERSION_1, accept_features, config_interrupt, probe, remove
from vgpu_emu.vmm.edid import edid_block
from vgpu_wire.control import CtrlType
from vgpu_wire.device import Config, ConfigEvent, Feature
from vgpu_wire.display import GetEdid, RespDisplayInfo, RespEdid
from vgpu_wire.render import GetCapsetInfo, RespCapsetInfo
from vgpu_wire.virtgpu_drm import Param


def test_driver_takes_all_features_that_it_knows_and_no_other() -> None:
    assert accept_features(1 << VERSION_1 | 0xFFFF) == frozenset(Feature)
    assert accept_features(1 << VERSION_1 | 1 << Feature.BLOB_ALIGNMENT) == {Feature.BLOB_ALIGNMENT}
    assert accept_features(1 << VERSION_1) == frozenset()


def test_device_before_virtio_1_is_no_device() -> None:
    assert refusal(lambda: accept_features(0xFFFF)) == ENODEV


def test_capsets_are_asked_for_one_by_one_then_edids_then_display_info() -> None:
    guest = Guest(capsets=2, scanouts=2)
    call = Call(probe(guest.driver))
    for index in range(2):
        assert guest.sent() == [GetCapsetInfo(capset_index=index)]
        guest.answer()
        call.step()
    edids_and_modes = guest.sent()
    assert edids_and_modes[:2] == [GetEdid(scanout=0), GetEdid(scanout=1)]
    assert [request.type for request in edids_and_modes[2:]] == [CtrlType.GET_DISPLAY_INFO]
    assert [chain.capacity for chain in guest.waiting] == [1056, 1056, 408]
    assert call.sleeps
    guest.answer_all()
    call.step()
    assert not call.sleeps


def test_without_edid_only_the_display_info_is_asked_for() -> None:
    guest = Guest(frozenset())
    Call(probe(guest.driver))
    assert guest.names() == ["GET_DISPLAY_INFO"]


def test_answers_say_how_large_the_outputs_are() -> None:
    guest = Guest(PLAIN, scanouts=3)
    guest.run(probe(guest.driver))
    assert [(output.size, output.is_connected) for output in guest.driver.outputs] == [
        ((640, 480), True),
        ((800, 600), True),
        ((1024, 768), False),
    ]
    assert guest.driver.outputs[0].edid == edid_block(640, 480)


def test_more_than_16_scanouts_are_16_and_none_is_no_display() -> None:
    guest = Guest(PLAIN, scanouts=17)
    guest.run(probe(guest.driver))
    assert len(guest.driver.outputs) == 16
    guest = Guest(PLAIN, scanouts=0)
    assert not Call(probe(guest.driver)).sleeps
    assert guest.names() == []


def test_display_info_that_does_not_come_is_waited_for_for_5_seconds() -> None:
    guest = Guest(PLAIN)
    call = Call(probe(guest.driver))
    assert call.wait is not None
    assert call.wait.timeout == 5.0
    call.time_out()
    assert not call.sleeps
    assert guest.driver.outputs[0].size == (1024, 768)
    assert guest.driver.outputs[0].is_connected


def test_display_info_that_comes_late_is_taken() -> None:
    guest = Guest(PLAIN)
    Call(probe(guest.driver)).time_out()
    guest.answer_all()
    assert guest.driver.outputs[0].size == (640, 480)


def test_error_in_place_of_the_display_info_switches_all_outputs_off() -> None:
    guest = Guest(PLAIN)
    call = Call(probe(guest.driver))
    guest.answer(UNSPEC, CtrlType.GET_DISPLAY_INFO)
    call.step()
    assert not call.sleeps
    assert not guest.driver.outputs[0].is_connected
    assert guest.errors() == ["response 0x1200 (command 0x100)"]


@pytest.mark.parametrize(
    "answer",
    [
        UNSPEC,
        b"",
        RespEdid(size=127, edid=edid_block(640, 480).ljust(1024, b"\0")),
        RespEdid(size=128, edid=edid_block(640, 480)[:-1].ljust(1024, b"\0")),
        RespEdid(size=128, edid=bytes(1024)),
    ],
    ids=["error", "nothing", "too short", "wrong checksum", "no EDID"],
)
def test_output_has_no_edid_after_an_answer_without_one(answer: RespEdid) -> None:
    guest = Guest(PLAIN)
    Call(probe(guest.driver))
    guest.answer()
    assert guest.driver.outputs[0].edid is not None
    Call(probe(guest.driver))
    guest.answer(answer, CtrlType.GET_EDID)
    assert guest.driver.outputs[0].edid is None


def test_edid_that_claims_more_than_there_is_room_for_is_cut() -> None:
    guest = Guest(PLAIN)
    Call(probe(guest.driver))
    guest.answer(RespEdid(size=0xFFFFFFFF, edid=edid_block(640, 480).ljust(1024, b"\0")))
    assert len(guest.driver.outputs[0].edid or b"") == 1024


# -- capsets


def _probe_with(*answers: RespCapsetInfo) -> Guest:
    guest = Guest(capsets=len(answers))
    call = Call(probe(guest.driver))
    for answer in answers:
        guest.answer(answer)
        call.step()
    return guest


def test_capsets_are_known_with_their_versions_and_sizes() -> None:
    guest = _probe_with(
        RespCapsetInfo(capset_id=1, capset_max_version=1, capset_max_size=308),
        RespCapsetInfo(capset_id=4, capset_max_version=0, capset_max_size=160),
    )
    assert [(c.id, c.max_version, c.max_size) for c in guest.driver.capsets.known] == [(1, 1, 308), (4, 0, 160)]
    assert guest.file.getparam(Param.SUPPORTED_CAPSET_IDS) == 0b10010


@pytest.mark.parametrize("capset_id", [64, 0xFFFFFFFF])
def test_capset_with_an_impossible_id_costs_all_capsets_but_not_their_bits(capset_id: int) -> None:
    guest = _probe_with(RespCapsetInfo(capset_id=1, capset_max_size=8), RespCapsetInfo(capset_id=capset_id))
    assert guest.driver.capsets.known == []
    assert guest.driver.capsets.mask == 0b10
    assert errno_of(guest.file.get_caps(1, 0, 8)) == ENOSYS
    assert guest.errors() == [f"invalid capset id {capset_id}"]
    assert "GET_DISPLAY_INFO" in guest.names()


def test_highest_capset_id_is_63_and_its_bit_is_counted_modulo_32() -> None:
    guest = _probe_with(RespCapsetInfo(capset_id=63))
    assert [c.id for c in guest.driver.capsets.known] == [63]
    assert guest.driver.capsets.mask == 0xFFFFFFFF_80000000
    assert guest.file.getparam(Param.SUPPORTED_CAPSET_IDS) == -(1 << 31)


@pytest.mark.parametrize("answer", [UNSPEC, b"", None], ids=["error", "nothing", "no answer"])
def test_capset_that_is_refused_is_waited_for_for_5_seconds_and_costs_all(answer: RespCapsetInfo | None) -> None:
    guest = Guest(capsets=2)
    call = Call(probe(guest.driver))
    guest.sent()
    if answer is not None:
        guest.answer(answer)
        call.step()
    assert call.wait is not None
    assert call.wait.timeout == 5.0
    call.time_out()
    assert guest.driver.capsets.known == []
    assert guest.errors()[-1] == "timed out waiting for cap set 0"
    assert guest.names() == ["GET_EDID", "GET_DISPLAY_INFO"]


def test_as_many_capsets_as_there_is_memory_for() -> None:
    guest = Guest(capsets=MAX_CAPSETS)
    Call(probe(guest.driver))
    assert guest.sent() == [GetCapsetInfo(capset_index=0)]


@pytest.mark.parametrize("capsets", [MAX_CAPSETS + 1, 0xFFFFFFFF])
def test_more_capsets_than_there_is_memory_for_are_none(capsets: int) -> None:
    guest = Guest(capsets=capsets)
    Call(probe(guest.driver))
    assert guest.driver.capsets.known == []
    assert guest.errors() == ["failed to allocate cap sets"]
    assert guest.names() == ["GET_EDID", "GET_DISPLAY_INFO"]


def test_capset_that_comes_too_late_does_no_harm() -> None:
    guest = Guest(capsets=1)
    Call(probe(guest.driver)).time_out()
    guest.answer()
    assert guest.driver.capsets.known == []


# -- hot-plug


def test_hot_plug_asks_again_and_clears_the_event_before_the_answers() -> None:
    guest = Guest(PLAIN)
    guest.run(probe(guest.driver))
    guest.config.config = Config(events_read=1, num_scanouts=1)
    config_interrupt(guest.driver)
    assert guest.names() == ["GET_EDID", "GET_DISPLAY_INFO"]
    assert guest.config.cleared == [ConfigEvent.DISPLAY]
    larger = RespDisplayInfo(pmodes=[MODES[1], *[MODES[0]] * 15])
    guest.answer(None, CtrlType.GET_EDID)
    guest.answer(larger, CtrlType.GET_DISPLAY_INFO)
    assert guest.driver.outputs[0].size == (800, 600)
    assert guest.driver.outputs.hotplugs == 2


def test_interrupt_without_an_event_asks_nothing() -> None:
    guest = Guest(PLAIN)
    guest.run(probe(guest.driver))
    config_interrupt(guest.driver)
    assert guest.names() == []
    assert guest.config.cleared == [0]


# -- unbind and bind


def test_unbound_device_gets_nothing_and_every_ioctl_of_an_open_file_is_enodev() -> None:
    guest = Guest()
    handle = guest.run(guest.file.resource_create_blob(size=PAGE, blob_id=1))
    buffer = guest.run(guest.file.create_dumb(64, 64))
    offset = guest.file.map(handle)
    free = guest.driver.pages.free_bytes
    remove(guest.driver)
    assert errno_of(guest.file.create_dumb(64, 64)) == ENODEV
    assert errno_of(guest.file.resource_create_blob(size=PAGE)) == ENODEV
    assert errno_of(guest.file.execbuffer(b"")) == ENODEV
    assert errno_of(guest.file.mmap(offset, PAGE)) == ENODEV
    assert refusal(lambda: guest.file.map(handle)) == ENODEV
    assert refusal(lambda: guest.file.getparam(Param.CONTEXT_INIT)) == ENODEV
    Call(guest.file.close())
    assert guest.names() == []
    assert guest.driver.pages.free_bytes == free + buffer.size
    assert guest.driver.mm.nodes == {}


def test_driver_of_the_next_bind_goes_on_with_the_resource_ids_and_forgets_the_rest() -> None:
    guest = Guest(capsets=1)
    guest.run(probe(guest.driver))
    guest.run(guest.file.resource_create_blob(size=PAGE, blob_id=1))
    remove(guest.driver)
    new = guest.driver.successor()
    assert new.capsets.known == []
    assert new.in_flight == 0
    file = DrmFile(new)
    assert file.ctx_id == 1
    Call(file.resource_create_blob(size=PAGE, blob_id=1))
    created = guest.driver.available + new.take_available()
    assert [chain.readable[:2].hex() for chain in created][1] == "0c01"
    assert int.from_bytes(created[1].readable[24:28], "little") == 3


def test_late_answer_to_a_driver_that_is_gone_does_no_harm() -> None:
    guest = Guest()
    Call(guest.file.resource_create_blob(size=PAGE, blob_id=1))
    guest.sent()
    remove(guest.driver)
    guest.answer_all()
    assert guest.names() == []
