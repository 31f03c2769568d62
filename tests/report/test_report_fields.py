"""Messages taken apart, byte by byte."""

import json
from pathlib import Path
from typing import Any

import pytest

from vgpu_emu.report.fields import MAX_ELEMENTS, MAX_LINES, Field, fields, raw
from vgpu_wire.blob import ResourceCreateBlob, RespMapInfo
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.dmabuf import DMA_BUF_IOCTL_INFO, DmaBufInfo
from vgpu_wire.layout import Record, leaves
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CmdSubmit
from vgpu_wire.renderer_link import Answer, Ioctl
from vgpu_wire.resource import MemEntry

FILES = sorted(Path(__file__).parents[2].joinpath("protocol", "vectors").glob("*.json"))
VECTORS = [vector for file in FILES for vector in json.loads(file.read_text(encoding="utf-8")) if "fields" in vector]
MESSAGES = {vector["name"]: bytes.fromhex(vector["hex"]) for vector in VECTORS if "hdr" in vector["fields"]}


def taken_apart(record: Record, asked: Record | None = None) -> list[Field]:
    return fields(record, record.build(), asked)


def member(shown: list[Field], path: str) -> Field:
    return next(field for field in shown if field.path == path)


def test_there_are_messages() -> None:
    assert len(MESSAGES) > 30


@pytest.mark.parametrize("data", MESSAGES.values(), ids=MESSAGES.keys())
def test_fields_cover_every_byte_once(data: bytes) -> None:
    shown = fields(parse_message(data), data)
    assert b"".join(field.data for field in shown) == data
    place = 0
    for field in shown:
        assert field.offset == place
        place += len(field.data)


@pytest.mark.parametrize("vector", [v for v in VECTORS if "hdr" in v["fields"]], ids=lambda vector: str(vector["name"]))
def test_fields_have_the_values_of_the_golden_vectors(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    record = parse_message(data)
    shown = {field.path: field for field in fields(record, data)}
    for leaf in leaves(type(record)):
        value: Any = vector["fields"]
        for step in leaf.path.split("."):
            value = value[step]
        if isinstance(value, int):
            assert int(shown[leaf.path].value.split()[0]) == value


def test_a_number_has_its_word() -> None:
    shown = taken_apart(RespMapInfo(type=CtrlType.RESP_OK_MAP_INFO.value, map_info=3))
    assert member(shown, "map_info")[2:] == ("map_info", "3", "WC")
    assert member(shown, "hdr.type").words == "RESP_OK_MAP_INFO"


def test_the_commands_of_a_context_are_taken_apart() -> None:
    alloc = StreamAlloc(exporter=ExporterKind.WC.value, blob_id=9, size=4096).build()
    shown = taken_apart(CmdSubmit(size=2 * len(alloc), commands=2 * alloc))
    assert member(shown, "commands[1].blob_id").value == "9"
    assert member(shown, "commands[1].blob_id").offset == CmdSubmit.layout.size + len(alloc) + 8


def test_a_foreign_command_stream_is_shown_as_bytes() -> None:
    shown = taken_apart(CmdSubmit(size=8, commands=b"\xff" * 7 + b"A"))
    assert (shown[-1].path, shown[-1].words) == ("commands[0]", ".......A")


def test_an_ioctls_argument_is_taken_apart_and_its_answer_by_what_was_asked() -> None:
    argument = DmaBufInfo(param=1, value=3).build()
    question = Ioctl(fd=3, request=DMA_BUF_IOCTL_INFO, size=len(argument), argument=argument)
    answer = Answer(size=len(argument), data=argument)
    assert member(taken_apart(question), "argument[0].value").value == "3"
    assert member(taken_apart(answer, question), "data[0].value").value == "3"
    assert taken_apart(answer)[-1].path == "data[0]"


def test_of_a_long_array_the_first_elements_are_shown_and_the_rest_counted() -> None:
    def shown(count: int) -> list[Field]:
        entries = [MemEntry(addr=index << 12, length=4096) for index in range(count)]
        return taken_apart(ResourceCreateBlob(nr_entries=count, entries=entries))

    whole = shown(MAX_ELEMENTS)
    assert whole[-3].path == f"entries[{MAX_ELEMENTS - 1}].addr"
    assert shown(MAX_ELEMENTS - 1)[-3].path == f"entries[{MAX_ELEMENTS - 2}].addr"
    assert shown(MAX_ELEMENTS + 1) == [
        *[f if f.path != "nr_entries" else member(shown(MAX_ELEMENTS + 1), "nr_entries") for f in whole],
        Field(whole[-1].offset + 4, b"", "", "1 elements more"),
    ]


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_of_many_bytes_the_first_lines_are_shown_and_the_rest_counted(extra: int) -> None:
    limit = 16 * MAX_LINES
    shown = list(raw(bytes(limit + extra)))
    assert sum(len(field.data) for field in shown) == min(limit, limit + extra)
    assert (shown[-1].value == "1 bytes more") == (extra == 1)


def test_a_long_run_of_zeros_is_counted() -> None:
    assert Field(0, b"ab" + bytes(62), "name", "").hex == "61 62 00 x 62"
    assert Field(0, bytes(64), "name", "").hex == "00 x 64"
    assert Field(0, bytes(4), "name", "").hex == "00 00 00 00"


def test_only_messages_with_a_header_are_looked_up() -> None:
    assert all(isinstance(parse_message(data), CtrlHdr) for data in MESSAGES.values())
