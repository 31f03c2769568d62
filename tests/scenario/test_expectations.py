"""Each kind of expectation: seen to hold, and seen to fail with what was expected and what was there."""

import pytest
from scenario_kit import BLOB, MMAP, differs, play

from vgpu_emu.scenario.expect import matches
from vgpu_emu.scenario.outcome import Result

WRITE = '[[step]]\ndo = "write"\nof = "view"\ntext = "abc"\n'
READ = '[[step]]\ndo = "read"\nof = "view"\n'
BAD_MAP = '[[step]]\ndo = "raw"\nmessage = "RESOURCE_MAP_BLOB"\nfields = { resource_id = 77 }\n'
CAPSET = '[[step]]\ndo = "raw"\nmessage = "GET_CAPSET_INFO"\nfields = { capset_index = 2 }\n'
INFO = '[[step]]\ndo = "resource-info"\nof = "blob"\n'
FENCED = '[[step]]\ndo = "raw"\nmessage = "CTX_CREATE"\nfields = { ctx_id = 9, flags = 1, fence_id = 5 }\n'
ON_A_RING = FENCED.replace("flags = 1", "flags = 3, ring_idx = 4")
FULL = "hardware.host_visible = 0x1000\n"
LATE = BLOB + '[[step]]\ndo = "create-blob"\nexporter = "wc"\ndefer = true\nas = "late"\n'
HANGS = LATE + '[[step]]\ndo = "mmap"\nof = "late"\nas = "view"\n'
WRONG = 'host = { ioctl = false, guess = "cached" }\n'
SLEEP = '[[step]]\ndo = "sleep"\nseconds = 2.5\n'
PANIC = '[[step]]\ndo = "raw"\nmessage = "RESOURCE_MAP_BLOB"\n'


@pytest.mark.parametrize(
    ("steps", "good", "bad", "differences"),
    [
        (BLOB + MMAP, 'map_info = "wc"', 'map_info = "cached"', [("map_info", "1 (CACHED)", "3 (WC)")]),
        (BLOB + MMAP, "map_info = 3", "map_info = 0x13", [("map_info", "19 (WC + 0x10)", "3 (WC)")]),
        (BLOB + MMAP, 'pgprot = "writecombine"', 'pgprot = "cached"', [("pgprot", "cached", "writecombine")]),
        (BLOB + MMAP, 'response = "RESP_OK_MAP_INFO"', 'response = "nothing"',
         [("response", "nothing", "RESP_OK_MAP_INFO")]),
        (BLOB + MMAP + WRITE + READ, 'text = "abc"', 'text = "abd"', [("text", "'abd'", "'abc'")]),
        (BLOB + MMAP + WRITE + READ, 'bytes = "61 62"', 'bytes = "6162ff"', [("bytes", "61 62 ff", "61 62 63")]),
        (BAD_MAP, 'rule = "MAP_KNOWN"', 'rule = "MAP_ONCE"', [("rule", "MAP_ONCE", "MAP_KNOWN")]),
        (BAD_MAP, 'response = "RESP_ERR_INVALID_RESOURCE_ID"', 'response = "RESP_ERR_UNSPEC"',
         [("response", "RESP_ERR_UNSPEC", "RESP_ERR_INVALID_RESOURCE_ID")]),
        (CAPSET, "fields = { capset_id = 4 }", "fields = { capset_id = 5 }", [("fields.capset_id", "5", "4")]),
        (CAPSET, "fields = { hdr = { type = 0x1102 } }", "fields = { capset_di = 4 }",
         [("fields.capset_di", "4", "no such member")]),
        (BLOB + INFO, "value = { size = 0x1000 }", "value = { size = 0x2000 }", [("value.size", "0x2000", "0x1000")]),
        (FENCED, "fenced = true", "fenced = false", [("fenced", "False", "True")]),
        (ON_A_RING, "ring = 4", "ring = 5", [("ring", "5", "4")]),
        (BLOB, 'trace = ["CREATE_BLOB", "MAP_BLOB * resource_id 2"]', 'trace = ["RESOURCE_MAP_BLOB", "SUBMIT_3D ctx"]',
         [("trace", "SUBMIT_3D ctx", "only earlier")]),
        (BLOB, 'trace = ["vmm -> guest RESP_OK_MAP_INFO"]', 'trace = ["RESP_ERR_"]',
         [("trace", "RESP_ERR_", "not in the ladder of this step")]),
        (BLOB, 'never = ["UNMAP_BLOB"]', 'never = ["guest -> vmm RESOURCE_MAP_BLOB"]',
         [("never", "no line with guest -> vmm RESOURCE_MAP_BLOB", "guest -> vmm RESOURCE_MAP_BLOB resource_id 2")]),
        (SLEEP, "seconds = 2.5", "seconds = 2.0", [("seconds", "2 s", "2.5 s")]),
        (BAD_MAP, 'device = "works"', 'device = "dead"', [("device", "dead", "works")]),
    ],
)  # fmt: skip
def test_expectation(steps: str, good: str, bad: str, differences: list[tuple[str, str, str]]) -> None:
    assert differs(play(f"{steps}expect = {{ {good} }}\n")) == []
    assert differs(play(f"{steps}expect = {{ {bad} }}\n")) == differences


def test_call_that_fails_has_to_be_expected() -> None:
    unmappable = BLOB + "flags = []\n" + MMAP
    assert differs(play(unmappable + 'expect.errno = "EINVAL"\n')) == []
    assert differs(play(unmappable)) == [("errno", "success", "EINVAL (the blob is not mappable)")]
    assert differs(play(unmappable + 'expect.errno = "ENOSPC"\n')) == [
        ("errno", "ENOSPC", "EINVAL (the blob is not mappable)")
    ]
    assert differs(play(BLOB + MMAP + 'expect.errno = "EINVAL"\n')) == [("errno", "EINVAL", "success")]


def test_call_that_hangs_has_to_be_expected() -> None:
    why = "the answer to RESOURCE_MAP_BLOB of resource 3"
    assert differs(play(HANGS + "expect.hangs = true\n", FULL)) == []
    assert differs(play(HANGS + 'expect.hangs = "RESOURCE_MAP_BLOB"\n', FULL)) == []
    assert differs(play(HANGS, FULL)) == [("hangs", "no", f"for {why}")]
    assert differs(play(HANGS + 'expect.hangs = "room"\n', FULL)) == [("hangs", "for room", f"for {why}")]
    assert differs(play(BLOB + MMAP + "expect.hangs = true\n")) == [("hangs", "yes", "no")]


def test_conflict_has_to_be_expected() -> None:
    says = "resource 2: the host maps it wc, the guest cached"
    assert differs(play(BLOB + MMAP + "expect.conflict = true\n", WRONG)) == []
    assert differs(play(BLOB + MMAP + 'expect.conflict = "guest cached"\n', WRONG)) == []
    assert differs(play(BLOB + MMAP, WRONG)) == [("conflict", "none, or none of this kind", says)]
    assert differs(play(BLOB + MMAP + "expect.conflict = true\n")) == [("conflict", "some", "none of the kind")]
    assert differs(play(BLOB + MMAP + 'expect.conflict = "noncached"\n', WRONG)) == [
        ("conflict", "none, or none of this kind", says),
        ("conflict", "noncached", "none of the kind"),
    ]


def test_conflicts_on_a_platform_are_what_its_rules_call_mismatched() -> None:
    assert differs(play(BLOB + MMAP, 'platform = "amd"\n')) == []
    found = differs(play(BLOB + MMAP, 'platform = "arm64-fwb"\n'))
    assert len(found) == 3
    assert all(what == "conflict" and "Normal-WB" in actual for what, _, actual in found)
    assert differs(play(BLOB + MMAP + 'expect.conflict = "guest user space"\n', 'platform = "arm64-fwb"\n')) == []


def test_device_that_dies_answers_nothing() -> None:
    panics = PANIC + 'expect = { device = "dead", response = "nothing" }\n'
    assert differs(play(panics, 'profile = "vhost-device-gpu"\n')) == []
    assert differs(play(panics)) == [
        ("response", "nothing", "RESP_ERR_INVALID_RESOURCE_ID"),
        ("device", "dead", "works"),
    ]


def test_whatever_is_left_at_the_end_is_a_failure() -> None:
    leak = BLOB + '[[step]]\ndo = "raw"\nmessage = "RESOURCE_UNREF"\nfields = { resource_id = "blob" }\n'
    mapping = "the VMM maps 0x1000 bytes at 0x0 of the region for nobody"
    crosvm = 'profile = "crosvm"\n'
    outcome = play(leak, crosvm)
    assert (outcome.result, differs(outcome)) == (Result.FAIL, [("left", "nothing", mapping)])
    assert differs(play(leak + '[end]\nleft = ["the VMM maps"]\n', crosvm)) == []
    assert differs(play(leak + '[end]\nleft = ["the VMM maps"]\n')) == [("left", "the VMM maps", "nothing of the kind")]
    assert differs(play(leak + '[end]\nleft = ["the VMM maps", "the VMM maps"]\n', crosvm)) == [
        ("left", "the VMM maps", "nothing of the kind")
    ]


def test_fault_that_does_not_happen_is_a_failure() -> None:
    drop = '[[fault]]\nfault = "drop"\nmessage = "RESOURCE_ASSIGN_UUID"\n'
    assert differs(play(BLOB, drop)) == [
        ("fault", "Drop(message='RESOURCE_ASSIGN_UUID')", "it has not happened, or not so often")
    ]


def test_step_that_makes_no_sense_is_a_failure() -> None:
    assert differs(play('[[step]]\ndo = "plug"\nscanout = 9\nwidth = 640\nheight = 480\n')) == [
        ("scanout", "something that can be done", "there is no scanout 9")
    ]
    assert differs(play(BLOB + MMAP + READ)) == [
        ("length", "something that can be done", "a step that reads has a length, or expects bytes or text")
    ]


def test_failure_names_the_step_and_ends_the_run() -> None:
    outcome = play(BLOB + MMAP + 'expect.pgprot = "cached"\n' + WRITE)
    assert outcome.failure is not None
    assert (outcome.failure.path, outcome.failure.title) == ("step[1]", "mmap of blob as view")
    assert outcome.steps == 2


def test_exception_of_the_emulator_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("vgpu_emu.scenario.carrying.mismatches", broken)
    outcome = play(BLOB)
    assert outcome.result is Result.CRASH
    assert "ZeroDivisionError: a bug" in outcome.detail
    assert any("create-blob" in str(event) for event in outcome.events)


@pytest.mark.parametrize(
    ("pattern", "line", "is_in"),
    [
        ("a b", "x a b y", True),
        ("a * b", "a x b", True),
        ("a * b", "b a", False),
        ("a*a", "a", False),
        ("", "a", True),
        ("a  b", "a b", False),
    ],
)
def test_pattern_of_a_line(pattern: str, line: str, is_in: bool) -> None:
    assert matches(pattern, line) is is_in
