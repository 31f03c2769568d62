"""Profiles beyond single answers: fences, panics, mappings, and what a profile claims."""

import json
from errno import EIO
from pathlib import Path

import pytest
from msgspec.structs import replace
from profile_probe import Probe
from provocations import PROVOCATIONS

from vgpu_emu.drive.requests import FENCE, PAGE, RING, attach, create_2d, host_blob, scanout, transfer, work
from vgpu_emu.ids import ResourceId
from vgpu_emu.link.chain import Used
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.profiles import by_answer
from vgpu_emu.vmm.rules import OK, UNSPEC, Rule
from vgpu_emu.vmm.state import Image
from vgpu_wire.blob import ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, CURSORQ, Feature
from vgpu_wire.display import Rect, ResourceFlush
from vgpu_wire.messages import MESSAGES, parse_message
from vgpu_wire.render import CtxCreate
from vgpu_wire.renderer_link import Op
from vgpu_wire.resource import ResourceUnref

CAPTURE = Path(__file__).parents[1] / "data" / "captures" / "vhost_user_gpu_72_errors.jsonl"
every_profile = pytest.mark.parametrize("name", PROFILES)


def test_real_vhost_user_gpu_answers_as_the_profile_byte_for_byte() -> None:
    exchanges = [json.loads(line) for line in CAPTURE.read_text(encoding="utf-8").splitlines()]
    with Probe("vhost-user-gpu", frozenset(), guest_memory=1 << 28, scanouts=((1024, 768),)) as probe:
        for exchange in exchanges:
            queue = CURSORQ if exchange["queue"] == "cursorq" else CONTROLQ
            used = probe.last(bytes.fromhex(exchange["request"]), queue=queue)
            assert used is not None
            assert used.written == bytes.fromhex(exchange["response"]), exchange["cmd"]
    assert len(exchanges) == 23
    assert exchanges[-1]["response"] == ""


def test_only_strict_claims_to_be_correct() -> None:
    assert [name for name, profile in PROFILES.items() if profile.correct] == ["strict"]


@every_profile
def test_differences_are_differences(name: str) -> None:
    assert {rule for rule, verdict in PROFILES[name].differs.items() if verdict == rule.strict} == set()


@every_profile
def test_commands_that_panic_are_commands_that_the_vmm_has(name: str) -> None:
    assert not PROFILES[name].lacks & PROFILES[name].dead_commands


def test_rule_has_one_answer() -> None:
    with pytest.raises(ValueError, match="two answers to MAP_ONCE"):
        by_answer((OK, (Rule.MAP_ONCE,)), (UNSPEC, (Rule.MAP_KNOWN, Rule.MAP_ONCE)))


# -- what was read beside the table

BESIDE = """
                   | strict | qemu-2d | qemu-virgl | qemu-rutabaga | crosvm | vhost-device-gpu | vhost-user-gpu
header of 23 bytes | UN     | UN      | UN         | UN            | UN     | UN               | PAR
short structure    | PAR    | OK      | OK         | OK            | UN     | UN               | PAR
image of no pixels | PAR    | OK      | OK         | UN            | UN     | UN               | OOM
backing too short  | PAR    | OK      | OK         | UN            | UN     | UN               | OK
empty rectangle    | PAR    | PAR     | PAR        | OK            | OK     | OK               | OK
no object          | PAR    | PAR     | UN         | UN            | UN     | dead             | UN
CTX_CREATE, no 3D  | UN     | UN      | OK         | OK            | OK     | OK               | UN
"""
WORDS = {
    "OK": CtrlType.RESP_OK_NODATA,
    "UN": UNSPEC,
    "OOM": CtrlType.RESP_ERR_OUT_OF_MEMORY,
    "PAR": CtrlType.RESP_ERR_INVALID_PARAMETER,
}
SHORT_BACKING = attach(1, (0, PAGE))
LINES = [line.split("|") for line in BESIDE.strip("\n").splitlines()]
ROWS = [(line[0].strip(), LINES[0][i].strip(), line[i].strip()) for line in LINES[1:] for i in range(1, 8)]


def sent(case: str, probe: Probe) -> Used | None:
    match case:
        case "header of 23 bytes":
            return probe.last(bytes([0, 1]) + bytes(21))
        case "short structure":
            return probe.last(create_2d(1).build()[:-1])
        case "image of no pixels":
            return probe.last(create_2d(1, width=0))
        case "backing too short":
            probe.before(create_2d(1), SHORT_BACKING)
            return probe.last(transfer(1))
        case "empty rectangle":
            probe.image_1()
            return probe.last(scanout(r=Rect(height=64)))
        case "no object":
            probe.context_1()
            return probe.last(host_blob(5))
        case _:
            return probe.last(CtxCreate(ctx_id=1))


@pytest.mark.parametrize(("case", "name", "word"), ROWS)
def test_what_was_read_beside_the_table(case: str, name: str, word: str) -> None:
    features = frozenset(Feature) - ({Feature.VIRGL, Feature.CONTEXT_INIT} if "no 3D" in case else set())
    with Probe(name, features) as probe:
        used = sent(case, probe)
        assert (used is None) == (word == "dead")
        assert used is None or int.from_bytes(used.written[:4], "little") == WORDS[word]


def test_what_a_short_backing_has_is_transferred() -> None:
    with Probe("vhost-user-gpu") as probe:
        probe.memory.write(0, b"\x5a" * 2 * PAGE)
        sent("backing too short", probe)
        image = probe.device.resources[ResourceId(1)]
        assert isinstance(image, Image)
        assert image.pixels == b"\x5a" * PAGE + bytes(64 * 64 * 4 - PAGE)


# -- fences

UNKNOWN_FLAG = 1 << 5
BAD_FLUSH = ResourceFlush(flags=FENCE, fence_id=9, resource_id=77)


def busy(name: str) -> Probe:
    """Context 1 works for a second; a global fence behind that has to wait."""
    probe = Probe(name)
    probe.before(create_2d(3))
    probe.context_1()
    probe.before(work(1, 1000))
    return probe


@pytest.mark.parametrize("name", ["crosvm", "libkrun", "vhost-device-gpu", "strict"])
def test_error_of_a_fenced_request_waits_for_the_fence(name: str) -> None:
    with busy(name) as probe:
        assert probe.last(BAD_FLUSH) is None
        (used,) = probe.advance(1.0)
        answer = parse_message(used.written)
        assert (answer.type, answer.flags, answer.fence_id) == (CtrlType.RESP_ERR_INVALID_RESOURCE_ID, FENCE, 9)


@pytest.mark.parametrize("name", ["qemu-virgl", "qemu-rutabaga"])
def test_error_of_a_fenced_request_does_not_wait(name: str) -> None:
    with busy(name) as probe:
        used = probe.last(replace(create_2d(3), flags=FENCE, fence_id=9))
        assert used is not None
        answer = parse_message(used.written)
        assert answer.type in {CtrlType.RESP_ERR_INVALID_RESOURCE_ID, CtrlType.RESP_ERR_UNSPEC}
        assert (answer.flags, answer.fence_id) == (FENCE, 9)


@pytest.mark.parametrize(("name", "at_once"), [("qemu-virgl", True), ("qemu-rutabaga", True), ("crosvm", False)])
def test_fenced_map_is_answered_at_once_or_with_its_fence(name: str, at_once: bool) -> None:
    with Probe(name) as probe:
        probe.mappable_blob()
        probe.before(work(1, 1000))
        used = probe.last(ResourceMapBlob(flags=FENCE, fence_id=4, resource_id=5))
        assert (used is not None) == at_once
        assert len(probe.advance(1.0)) == (not at_once)


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("strict", FENCE | RING),
        ("crosvm", FENCE | RING | UNKNOWN_FLAG),
        ("libkrun", FENCE | RING | UNKNOWN_FLAG),
        ("vhost-device-gpu", FENCE | RING | UNKNOWN_FLAG),
        ("qemu-virgl", FENCE | RING),
        ("vhost-user-gpu", FENCE),
    ],
)
def test_flags_of_a_fenced_answer(name: str, flags: int) -> None:
    with Probe(name) as probe:
        fenced = HeaderOnly(type=0x100, flags=FENCE | RING | UNKNOWN_FLAG, fence_id=7, ctx_id=3, ring_idx=2)
        used = probe.last(fenced)
        assert used is not None
        answer = parse_message(used.written)
        assert (answer.flags, answer.fence_id, answer.ctx_id) == (flags, 7, 3)
        assert answer.ring_idx == (2 if flags & RING else 0)
        unfenced = probe.last(HeaderOnly(type=0x100, flags=RING | UNKNOWN_FLAG, fence_id=7, ctx_id=3, ring_idx=2))
        assert unfenced is not None
        assert parse_message(unfenced.written).flags == 0


@pytest.mark.parametrize(("name", "kept"), [("qemu-virgl", True), ("crosvm", False), ("vhost-device-gpu", False)])
def test_request_that_cannot_be_decoded_loses_its_fence(name: str, kept: bool) -> None:
    with Probe(name) as probe:
        used = probe.last(HeaderOnly(type=0x1FF, flags=FENCE, fence_id=7, ctx_id=3))
        assert used is not None
        header = CtrlHdr.parse(used.written[:24])
        assert (header.flags, header.fence_id, header.ctx_id) == ((FENCE, 7, 3) if kept else (0, 0, 0))


@pytest.mark.parametrize(("name", "answered"), [("strict", CtrlType.RESP_OK_NODATA), ("crosvm", UNSPEC)])
def test_fence_that_cannot_be_made_replaces_the_answer(name: str, answered: CtrlType) -> None:
    with busy(name) as probe:
        probe.refusals[Op.FENCE.value] = EIO
        used = probe.last(ResourceFlush(flags=FENCE, fence_id=9, resource_id=3))
        assert used is not None
        answer = parse_message(used.written)
        assert (answer.type, answer.flags, answer.fence_id) == (answered, FENCE, 9)


# -- panics

PANICS = [(name, command) for name, profile in PROFILES.items() for command in sorted(profile.dead_commands)]


@pytest.mark.parametrize(("name", "command"), PANICS)
def test_command_kills_the_device_and_the_log_says_who_and_where(name: str, command: CtrlType) -> None:
    with Probe(name) as probe:
        assert probe.last(HeaderOnly(type=0x100)) is not None
        assert probe.last(MESSAGES[command](type=command.value)) is None
        (note,) = probe.log.notes("device_dead")
        assert note.values == {"profile": name, "at": command.name}
        assert probe.last(HeaderOnly(type=0x100)) is None


def test_number_of_commands_that_panic() -> None:
    assert [name for name, _command in PANICS] == ["libkrun"] * 3 + ["vhost-device-gpu"] * 4


def test_rule_kills_the_device_and_the_log_names_it() -> None:
    with Probe("libkrun") as probe:
        PROVOCATIONS["CREATE_BLOB flag 8"](probe)
        (note,) = probe.log.notes("device_dead")
        assert note.values == {"profile": "libkrun", "at": "CREATE_BLOB_GUEST_HANDLE"}


# -- mappings


def test_blob_mapped_over_another_is_what_the_guest_sees() -> None:
    with Probe("qemu-virgl") as probe:
        probe.mappable_blob(5, size=3 * PAGE)
        probe.mappable_blob(6)
        probe.before(ResourceMapBlob(resource_id=5))
        for offset in range(3):
            probe.device.region.write(offset * PAGE, b"five")
        probe.before(ResourceMapBlob(resource_id=6, offset=PAGE))
        assert [probe.device.region.read(offset * PAGE, 4) for offset in range(3)] == [b"five", bytes(4), b"five"]
        probe.before(ResourceUnmapBlob(resource_id=5))
        assert list(probe.device.region) == []
        probe.before(ResourceUnmapBlob(resource_id=6), ResourceUnref(resource_id=5), ResourceUnref(resource_id=6))


def test_blob_mapped_outside_is_not_in_the_region_and_the_log_says_so() -> None:
    with Probe("libkrun") as probe:
        PROVOCATIONS["MAP outside"](probe)
        (note,) = probe.log.notes("mapped_outside")
        assert note.values == {"resource_id": 5, "offset": 15 * PAGE, "size": 2 * PAGE}
        assert [(slot.offset, slot.length) for slot in probe.device.region] == [(15 * PAGE, PAGE)]


@pytest.mark.parametrize("name", ["crosvm", "qemu-rutabaga"])
def test_mapping_that_a_vmm_forgot_is_gone_with_a_reset(name: str) -> None:
    with Probe(name) as probe:
        PROVOCATIONS["UNREF mapped blob"](probe)
        assert len(probe.device.region) == 1
        probe.carry(probe.device.reset())
        assert len(probe.device.region) == 0
