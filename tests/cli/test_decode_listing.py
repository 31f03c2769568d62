"""``vgpu-emu decode``: the listing, and the fields of ``--json``."""

import json
from typing import Any

import pytest
from decode_kit import ANSWER, MAP, MAP_HEX, decoder

from vgpu_emu.trace.listing import FIRST_BYTES, FIRST_ELEMENTS
from vgpu_wire.blob import ResourceCreateBlob
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.display import RespDisplayInfo, SetScanoutBlob
from vgpu_wire.layout import Record, to_fields
from vgpu_wire.messages import MESSAGES
from vgpu_wire.render import CtxCreate, RespCapset
from vgpu_wire.resource import MemEntry, ResourceAttachBacking

run_decode = pytest.fixture(decoder)


def listed(run_decode: Any, record: CtrlHdr, *options: str) -> list[str]:
    return [" ".join(line.split()) for line in run_decode(record.build().hex(), *options).out.splitlines()]


def test_numbers_have_their_words(run_decode: Any) -> None:
    lines = listed(run_decode, ANSWER)
    assert lines[0] == "#1 response RESP_OK_MAP_INFO, 32 bytes"
    assert "map_info 0x3 WC" in lines
    lines = listed(run_decode, ResourceCreateBlob(flags=1, blob_mem=2, blob_flags=3, size=4096))
    assert "blob_mem 0x2 HOST3D" in lines
    assert "blob_flags 0x3 USE_MAPPABLE|USE_SHAREABLE" in lines
    assert "size 4096 (0x1000)" in lines
    assert any(line.startswith("hdr type 0x10c RESOURCE_CREATE_BLOB, flags 0x1 FENCE,") for line in lines)


def test_offsets_are_shown_on_demand(run_decode: Any) -> None:
    lines = listed(run_decode, MAP, "--offsets")
    assert "32 8 offset 4096 (0x1000)" in lines
    assert "0 24 hdr" in lines
    assert "16 4 ctx_id 0" in lines
    assert "32 8 offset 4096 (0x1000)" not in listed(run_decode, MAP)


def test_offsets_are_those_of_the_bytes(run_decode: Any) -> None:
    record = SetScanoutBlob(strides=(1, 2, 3, 4), offsets=(5, 6, 7, 8), format=67)
    lines = listed(run_decode, record, "--offsets")
    assert "64 16 strides 1, 2, 3, 4" in lines
    assert "80 16 offsets 5, 6, 7, 8" in lines
    assert "56 4 format 0x43 R8G8B8A8_UNORM" in lines


@pytest.mark.parametrize("count", [0, FIRST_ELEMENTS, FIRST_ELEMENTS + 1, 1000])
def test_memory_entries_are_cut_short_unless_asked_for(run_decode: Any, count: int) -> None:
    record = ResourceAttachBacking(nr_entries=count, entries=[MemEntry(addr=i, length=7) for i in range(count)])
    short, full = listed(run_decode, record), listed(run_decode, record, "--full")
    assert f"entries {count} x virtio_gpu_mem_entry" in short
    assert sum("length 7" in line for line in short) == min(count, FIRST_ELEMENTS)
    assert sum("length 7" in line for line in full) == count
    assert (f"... {count - FIRST_ELEMENTS} more" in short) == (count > FIRST_ELEMENTS)
    assert f"32 {16 * count} entries {count} x virtio_gpu_mem_entry" in listed(run_decode, record, "--offsets")


def test_nested_structures_of_an_array_are_listed(run_decode: Any) -> None:
    lines = listed(run_decode, RespDisplayInfo())
    assert "pmodes 16 x virtio_gpu_display_one" in lines
    assert "[3] r (x 0, y 0, width 0, height 0), enabled 0, flags 0" in lines
    offsets = listed(run_decode, RespDisplayInfo(), "--offsets")
    assert "96 24 [3]" in offsets
    assert "104 4 width 0" in offsets
    assert "120 288 ... 12 more" in offsets


@pytest.mark.parametrize("size", [FIRST_BYTES - 1, FIRST_BYTES, FIRST_BYTES + 1, 3 * FIRST_BYTES])
def test_long_byte_arrays_are_cut_short_unless_asked_for(run_decode: Any, size: int) -> None:
    record = RespCapset(capset_data=bytes(range(size)))
    short, full = listed(run_decode, record), listed(run_decode, record, "--full")
    assert any(line.endswith(f"and {size - FIRST_BYTES} bytes more") for line in short) == (size > FIRST_BYTES)
    assert len(full) - 2 == -(-size // FIRST_BYTES)
    assert bytes(range(size)).hex() in "".join(line.split("|")[0].split()[-1] for line in full[2:])


def test_names_in_byte_arrays_can_be_read(run_decode: Any) -> None:
    record = CtxCreate(nlen=7, debug_name=b"glxgear".ljust(64, b"\0"))
    assert any("|glxgear....." in line for line in listed(run_decode, record))


def test_recorders_own_words_are_shown_if_they_say_more(run_decode: Any) -> None:
    response = HeaderOnly(type=0x1200).build().hex()
    capture = f'{{"queue": "controlq", "cmd": "map again", "request": "{MAP_HEX}", "response": "{response}"}}'
    headings = [line for line in run_decode(capture).out.splitlines() if line.startswith("#")]
    assert headings == [
        "#1 controlq request RESOURCE_MAP_BLOB, 40 bytes (map again)",
        "#1 controlq response RESP_ERR_UNSPEC to RESOURCE_MAP_BLOB, 24 bytes (map again)",
    ]


def test_terminal_escapes_of_a_capture_never_reach_the_terminal(run_decode: Any) -> None:
    capture = f'{{"cmd": "\\u001b]0;gone\\u0007\\n\\u009b", "queue": "\\u001b[2J", "request": "{MAP_HEX}"}}\n\x1b[31m\n'
    done = run_decode(capture)
    assert done.code == 1
    assert (done.out + done.err).isascii()
    assert all(char.isprintable() for char in done.out.replace("\n", ""))


def fields_with_hex(record: Record) -> Any:
    return json.loads(json.dumps(to_fields(record), default=lambda value: value.hex()))


@pytest.mark.parametrize("kind", list(MESSAGES))
def test_json_fields_are_those_of_the_wire_layer(run_decode: Any, kind: CtrlType) -> None:
    record = MESSAGES[kind](type=kind, fence_id=1 << 63)
    (shown,) = run_decode(record.build().hex(), "--json").lines
    assert shown["fields"] == fields_with_hex(record)
