"""Every normative sentence of the GPU chapter of virtio 1.4 (device-types/gpu), and the tests that hold it.

The sentences are paraphrased. Those of the driver are held by the driver of the emulator, by what Linux sent, and by
what the device does if a driver breaks them.
"""

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from device_kit import Rig

from vgpu_emu.drive.requests import PAGE, submit
from vgpu_wire.context_stream import StreamAlloc
from vgpu_wire.control import CtrlType
from vgpu_wire.device import ShmId
from vgpu_wire.render import CapsetId, CtxCreate, CtxDestroy, GetCapset, GetCapsetInfo, RespCapset, RespCapsetInfo

TESTS = Path(__file__).parents[1]


class Sentence(NamedTuple):
    """tests: file::function, below tests/."""

    section: str
    level: Literal["MUST", "SHOULD", "MAY", "plain"]
    who: Literal["device", "driver"]
    says: str
    tests: tuple[str, ...]


def vmm(module: str, *names: str) -> tuple[str, ...]:
    return tuple(f"vmm/test_{module}.py::test_{name}" for name in names)


def guest(module: str, name: str) -> tuple[str, ...]:
    return (f"guest/test_{module}.py::test_{name}",)


CONFIG, EVENTS, INIT = "Device configuration fields", "Events", "Device Initialization"
FENCING, CURSOR, HEADER = "Command lifecycle and fencing", "Configure mouse cursor", "Request header"
CONTROLQ, CONTROLQ_3D, CURSORQ = "controlq", "controlq (3d)", "cursorq"
RULES = vmm("device_rules", "a_broken_rule_has_its_answer_and_changes_nothing")
COMMANDS = vmm("device_commands", "command_succeeds_with_the_answer_that_the_spec_gives_it")
PROBE = guest("probe", "capsets_are_asked_for_one_by_one_then_edids_then_display_info")
INFO_FIRST = PROBE + vmm("spec_on_captures", "linux_asks_for_edid_and_display_info_before_it_sets_up_a_scanout")
HOT_PLUG = guest("probe", "hot_plug_asks_again_and_clears_the_event_before_the_answers")

NORMATIVE = (
    Sentence(CONFIG, "MUST", "driver", "does not write events_read: events are cleared through events_clear",
             HOT_PLUG + vmm("device_displays", "plugging_and_unplugging_set_the_display_event_until_it_is_cleared")),
    Sentence(EVENTS, "SHOULD", "driver", "fetches display info at a display event, which then has the news",
             HOT_PLUG + vmm("device_displays", "display_info_says_16_times_what_the_user_has_plugged_in")),
    Sentence(EVENTS, "SHOULD", "driver", "fetches EDIDs again at a display event, which then have the news",
             HOT_PLUG + vmm("device_edid", "a_display_that_was_plugged_in_later_has_its_own_too")),
    Sentence(INIT, "SHOULD", "driver", "asks for display info and sets up scanouts from it", INFO_FIRST),
    Sentence(INIT, "SHOULD", "driver", "asks for EDIDs if F_EDID is negotiated", INFO_FIRST),
    Sentence(INIT, "MAY", "driver", "falls back to a mode of its own if all displays are off",
             vmm("device_displays", "an_unplugged_scanout_can_still_be_set_up")),
    Sentence(INIT, "SHOULD", "driver", "looks for shared memory regions: one that has none gets no mapping",
             guest("ioctls", "host_visible_is_whether_there_is_a_region")
             + vmm("device_blobs", "device_without_a_host_visible_region_maps_nothing")),
    Sentence(INIT, "MUST", "device", "shmid is UNDEFINED or HOST_VISIBLE",
             vmm("spec_sentences", "shared_memory_regions_have_the_ids_of_the_spec")),
    Sentence(INIT, "MUST", "device", "supports MAP_BLOB and UNMAP_BLOB if there is a host visible region",
             vmm("device_blobs", "mapped_blobs_may_touch_and_not_overlap")),
    Sentence(FENCING, "MAY", "device", "answers before the processing is complete",
             vmm("device_fences", "request_without_a_fence_is_answered_before_the_work_is_done")),
    Sentence(FENCING, "MUST", "device", "finishes the processing before it answers a fenced request",
             ("machine/test_machine_fences.py::test_submitting_task_sleeps_until_the_work_is_done",
              *vmm("device_fences", "fenced_request_is_answered_when_the_work_is_done"))),
    Sentence(CURSOR, "MUST", "driver", "creates and fills the cursor's resource before it is used",
             guest("cursor_console", "new_cursor_is_transferred_and_waited_for_then_shown")
             + vmm("spec_on_captures", "linux_populates_a_cursor_image_before_it_shows_it")),
    Sentence(HEADER, "MUST", "device", "sets FLAG_FENCE in the answer of a fenced request",
             vmm("device_fences", "fence_with_nothing_before_it_is_answered_at_once")
             + vmm("device_rules", "a_refused_request_gets_its_fence_back")),
    Sentence(HEADER, "MUST", "device", "copies fence_id into the answer",
             vmm("device_fences", "any_64_bits_are_a_fence_id")),
    Sentence(HEADER, "MUST", "device", "sends that answer only after the command is complete",
             vmm("device_fence_model", "every_fence_is_answered_once_and_at_its_time")),
    Sentence(HEADER, "MAY", "driver", "sets INFO_RING_IDX with F_CONTEXT_INIT",
             guest("fences", "request_says_its_fence_and_only_on_a_ring_its_ring")
             + vmm("spec_on_captures", "linux_uses_rings_only_of_a_context_that_it_made_with_a_capset")),
    Sentence(HEADER, "MUST", "device", "answers, with a fence, all with lower sequence numbers on its timeline",
             vmm("device_fences", "completing_a_fence_completes_those_before_it_on_its_timeline_only",
                 "a_signal_for_a_later_fence_answers_the_earlier_ones_too", "refusal_waits_for_the_fences_before_it",
                 "complete_fence_does_not_overtake_one_whose_signal_is_on_its_way")),
    Sentence(CONTROLQ, "MUST", "driver", "GET_CAPSET_INFO: capset_index is below num_capsets",
             PROBE + vmm("spec_on_captures", "linux_asks_for_capsets_by_their_indices_from_0_on") + RULES),
    Sentence(CONTROLQ, "MUST", "device", "GET_CAPSET_INFO: capset_id is one of the list",
             vmm("spec_sentences", "every_capset_has_an_id_of_the_list")),
    Sentence(CONTROLQ, "MUST", "driver", "RESOURCE_CREATE_BLOB: blob_mem says where the memory is",
             vmm("spec_on_captures", "linux_says_of_every_blob_where_its_memory_is_and_what_it_is_for")),
    Sentence(CONTROLQ, "MUST", "driver", "RESOURCE_CREATE_BLOB: blob_mem is not 0",
             RULES + guest("ioctls", "verify_blob_refuses_and_nothing_is_sent")),
    Sentence(CONTROLQ, "MUST", "device", "a host blob is made of the context's object that blob_id names",
             vmm("device_blobs", "blob_is_made_of_the_object_that_the_context_allocated_under_its_blob_id")
             + vmm("spec_on_captures", "linux_makes_host_blobs_of_objects_that_the_context_allocated_before")),
    Sentence(CONTROLQ, "MUST", "driver", "blob_flags tell what the blob is for",
             vmm("device_blobs", "every_use_of_a_blob_can_be_told", "unknown_uses_are_refused")),
    Sentence(CONTROLQ, "MUST", "driver", "SET_SCANOUT_BLOB: the format is one of virtio_gpu_formats",
             vmm("spec_on_captures", "linux_shows_blobs_in_a_format_of_the_list") + RULES),
    Sentence(CONTROLQ, "MAY", "driver", "SET_SCANOUT_BLOB: a format has several planes: only the first is shown",
             vmm("device_scanouts", "a_blob_is_shown_with_its_stride_and_offset")),
    Sentence(CONTROLQ_3D, "MUST", "device", "CTX_CREATE makes a context of hdr.ctx_id",
             vmm("spec_sentences", "context_is_made_under_the_number_of_the_header")),
    Sentence(CONTROLQ_3D, "MAY", "driver", "context_init has a capset id in its low 8 bits",
             vmm("spec_sentences", "any_capset_that_the_device_has_makes_a_context_and_no_other")),
    Sentence(CONTROLQ_3D, "MUST", "device", "then the context can handle that command stream",
             vmm("spec_sentences", "any_capset_that_the_device_has_makes_a_context_and_no_other")),
    Sentence(CONTROLQ_3D, "MUST", "driver", "does not map a blob that is mapped",
             vmm("spec_on_captures", "linux_maps_no_blob_that_is_mapped_and_none_outside_of_its_life")
             + vmm("device_blobs", "mapping_again_after_unmapping_is_no_second_mapping")),
    Sentence(CONTROLQ, "MUST", "driver", "F_BLOB_ALIGNMENT: the size of a blob is a multiple of blob_alignment",
             guest("ioctls", "size_is_a_multiple_of_the_devices_alignment")
             + vmm("device_blobs", "with_blob_alignment_sizes_and_offsets_are_multiples_of_it")),
    Sentence(CONTROLQ_3D, "MUST", "driver", "F_BLOB_ALIGNMENT: the offset of a mapping is a multiple of it",
             vmm("device_blobs", "with_blob_alignment_sizes_and_offsets_are_multiples_of_it",
                 "without_blob_alignment_sizes_are_free_and_offsets_are_those_of_pages")),
)  # fmt: skip

#: what the chapter says without a keyword, and what would be wrong otherwise
PLAIN = (
    Sentence("Feature bits", "plain", "driver", "F_CONTEXT_INIT requires F_VIRGL",
             vmm("device_features", "features_are_accepted_with_what_they_need_and_refused_without")),
    Sentence(CONFIG, "plain", "device", "there are 1 to 16 scanouts",
             vmm("device_bounds", "a_device_has_1_to_16_scanouts")),
    Sentence(CONFIG, "plain", "device", "writing a 1 into events_clear clears that bit of events_read",
             vmm("device_displays", "plugging_and_unplugging_set_the_display_event_until_it_is_cleared")),
    Sentence("Virtqueues", "plain", "device", "cursor commands come on the cursorq, all others on the controlq",
             vmm("device_commands", "command_is_known_on_its_own_queue_only")),
    Sentence("Multihead setup", "plain", "device", "scanouts may mirror each other, or show parts of one framebuffer",
             vmm("device_scanouts", "several_scanouts_may_show_one_image_overlapping_or_apart")),
    Sentence("Using pageflip", "plain", "device", "SET_SCANOUT flips between framebuffers",
             vmm("device_scanouts", "a_page_flip_shows_the_other_framebuffer")),
    Sentence("Update a framebuffer and scanout", "plain", "device", "a transfer updates the host's resource",
             vmm("device_pixels", "any_transfers_through_any_entries_do_what_the_plain_model_does")),
    Sentence(CURSOR, "plain", "driver", "a cursor's resource is 64x64",
             vmm("device_displays", "a_cursor_image_is_64_by_64")),
    Sentence(HEADER, "plain", "driver", "ring_idx is 0 to 63",
             vmm("device_fences", "ring_that_cannot_be_is_refused_fenced_or_not")),
    Sentence(HEADER, "plain", "device", "fence_id is a sequence number on the timeline of its context and ring",
             vmm("device_fences", "64_rings_of_many_contexts_each_keep_their_own_order")),
    Sentence(HEADER, "plain", "device", "success is OK_NODATA, or the type of the payload", COMMANDS),
    Sentence(HEADER, "plain", "device", "an error is one of RESP_ERR_*",
             vmm("device_totality", "any_requests_are_answered_once_and_everything_can_be_given_back")),
    Sentence(CONTROLQ, "plain", "device", "GET_EDID answers a VESA EDID",
             vmm("device_edid", "edid_decode_finds_no_failure_and_nothing_to_warn_of")),
    Sentence(CONTROLQ, "plain", "driver", "a scanout's rectangle is covered by its resource", RULES),
    Sentence(CONTROLQ, "plain", "driver", "resource 0 disables a scanout",
             vmm("device_scanouts", "resource_0_disables_a_scanout_and_leaves_the_other")
             + vmm("spec_on_captures", "linux_switches_a_scanout_off_with_resource_0")),
    Sentence(CONTROLQ, "plain", "device", "a flush reaches every scanout that shows the resource",
             vmm("device_scanouts", "a_flush_updates_the_scanouts_that_show_the_rectangle_and_no_other")),
    Sentence(CONTROLQ, "plain", "device", "attached pages are used by transfers from then on",
             vmm("device_pixels", "attaching_backing_moves_nothing",
                 "pixels_stay_when_the_backing_is_detached_and_another_one_is_used_then")),
    Sentence(CONTROLQ, "plain", "device", "scatter lists are supported",
             vmm("device_pixels", "pages_are_taken_in_the_order_of_the_entries_not_of_their_addresses")),
    Sentence(CONTROLQ, "plain", "device", "a UUID names the resource",
             vmm("device_commands", "uuid_of_a_resource_stays_and_no_other_has_it")),
    Sentence(CONTROLQ, "plain", "device", "commands of a feature are there if it is negotiated",
             vmm("device_features", "command_without_its_feature_is_unspec_though_all_others_are_there",
                 "command_needs_no_feature_but_its_own")),
    Sentence(CONTROLQ, "plain", "device", "nr_entries may be 0, and backing attached and detached later",
             vmm("device_blobs",
                 "blob_may_be_made_without_entries_that_are_attached_exchanged_and_detached_later")),
    Sentence(CONTROLQ, "plain", "device", "host blobs need F_VIRGL, guest blobs do not",
             vmm("device_blobs", "guest_blob_needs_no_virgl_no_context_and_nothing_of_the_host") + RULES),
    Sentence(CONTROLQ, "plain", "device", "the entries of a default blob are a shadow of the host's memory",
             vmm("device_blobs", "default_blob_is_a_host_object_with_guest_pages_as_its_shadow")),
    Sentence(CONTROLQ, "plain", "device", "3D transfers may be used on blobs",
             vmm("device_3d", "transfer_of_a_blob_is_no_error")),
    Sentence(CONTROLQ_3D, "plain", "device", "a context_init of 0 leaves the kind of context to the device",
             vmm("spec_sentences", "context_is_made_under_the_number_of_the_header")),
    Sentence(CONTROLQ_3D, "plain", "device", "3D transfers go both ways",
             vmm("device_3d", "any_transfers_do_what_the_plain_model_does")),
    Sentence(CONTROLQ_3D, "plain", "device", "MAP_BLOB is for host-only blobs", RULES),
    Sentence(CURSORQ, "plain", "device", "MOVE_CURSOR looks at the position alone",
             vmm("device_displays", "update_cursor_sets_image_hot_spot_and_place_and_move_cursor_its_place_alone")),
)  # fmt: skip


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_no_sentence_is_missing() -> None:
    """How often the chapter has each keyword; the three duties of a fenced answer are one MUST and three lines."""
    assert Counter(sentence.level for sentence in NORMATIVE) == {"MUST": 21, "SHOULD": 5, "MAY": 5}
    assert len({sentence.says for sentence in NORMATIVE + PLAIN}) == len(NORMATIVE) + len(PLAIN)


@pytest.mark.parametrize("sentence", NORMATIVE + PLAIN, ids=lambda sentence: sentence.says)
def test_sentence_is_held_by_tests_that_there_are(sentence: Sentence) -> None:
    assert sentence.tests
    for test in sentence.tests:
        file, name = test.split("::")
        assert name in functions_of(file), test


# -- sentences that no other file is about


def test_shared_memory_regions_have_the_ids_of_the_spec() -> None:
    assert {shm.name: shm.value for shm in ShmId} == {"UNDEFINED": 0, "HOST_VISIBLE": 1}


def test_every_capset_has_an_id_of_the_list() -> None:
    """The list of the spec, and DRM, which the UAPI header has."""
    with Rig() as rig:
        ids = []
        for index in range(rig.device.config.num_capsets):
            answer = rig.ok(GetCapsetInfo(capset_index=index))
            assert isinstance(answer, RespCapsetInfo)
            ids.append(CapsetId(answer.capset_id))
            data = rig.ok(GetCapset(capset_id=answer.capset_id, capset_version=answer.capset_max_version))
            assert isinstance(data, RespCapset)
            assert len(data.capset_data) == answer.capset_max_size
        assert CapsetId.VIRGL in ids
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("ctx_id", [1, 7, 2**32 - 1])
def test_context_is_made_under_the_number_of_the_header(ctx_id: int) -> None:
    with Rig() as rig:
        rig.ok(CtxCreate(ctx_id=ctx_id, nlen=4, debug_name=b"test".ljust(64, b"\0")))
        assert rig.device.contexts.keys() == rig.parts.renderer.contexts.keys() == {ctx_id}
        rig.ok(CtxDestroy(ctx_id=ctx_id))
        assert not rig.device.contexts
        assert not rig.parts.renderer.contexts


def test_any_capset_that_the_device_has_makes_a_context_and_no_other() -> None:
    with Rig() as rig:
        for ctx_id, init in enumerate(
            (*rig.device.capsets, *(0xABCDEF00 | capset for capset in rig.device.capsets)), 1
        ):
            rig.ok(CtxCreate(ctx_id=ctx_id, context_init=init))
            rig.ok(submit(ctx_id, StreamAlloc(exporter=1, blob_id=1, size=PAGE)))
        unknown = set(range(1, 256)) - rig.device.capsets.keys()
        assert {rig.type_of(CtxCreate(ctx_id=99, context_init=init)) for init in unknown} == {
            CtrlType.RESP_ERR_INVALID_PARAMETER
        }
