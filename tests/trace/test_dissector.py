"""The dissector in Debian's tshark: it shows of every message what our own decoder sees in the same bytes."""

import json
from pathlib import Path
from typing import Any

import pytest
from tshark import ROOT, SCRIPT, Packet, frames, leaves_of, needs_tshark, packets, pcapng_file

from vgpu_emu.cli import main
from vgpu_emu.trace.capture import Exchange, read_messages
from vgpu_emu.trace.dissector import KINDS, dissector
from vgpu_emu.trace.exchanges import events_of
from vgpu_emu.trace.log import CONTROLQ, GUEST, VMM, Message, is_question
from vgpu_emu.trace.words import WORDS, BitsOf
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.control import FIRST_ERROR, CtrlFlag, CtrlHdr, CtrlType
from vgpu_wire.errors import WireError
from vgpu_wire.messages import MESSAGES, parse_message, type_name

CAPTURES = sorted((ROOT / "tests" / "data" / "captures").glob("*.jsonl"))
_VECTORS = [
    vector
    for file in sorted((ROOT / "protocol" / "vectors").glob("*.json"))
    for vector in json.loads(file.read_text(encoding="utf-8"))
]


def _is_message(vector: dict[str, Any]) -> bool:
    return "hdr" in vector.get("fields", {}) or vector["structure"] == "virtio_gpu_ctrl_hdr" or _refuses(vector)


def _refuses(vector: dict[str, Any]) -> bool:
    return "error" in vector and any(cls.layout.name == vector["structure"] for cls in MESSAGES.values())


def _request(data: bytes, head: int = 0) -> Message:
    return Message(0.0, CONTROLQ, GUEST, VMM, data, head)


MESSAGE_VECTORS = [bytes.fromhex(vector["hex"]) for vector in _VECTORS if _is_message(vector)]


def test_the_copy_in_the_repository_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dissector"]) == 0
    assert capsys.readouterr().out == SCRIPT.read_text(encoding="utf-8")


def test_every_message_and_every_question_is_in_it() -> None:
    (virtio_gpu, question, *_) = KINDS
    assert set(virtio_gpu.structures) == set(CtrlType) - {CtrlType.UNDEFINED}
    assert len(question.structures) == 13
    assert dissector().count("table.insert(kinds") == len(KINDS)


@pytest.fixture(scope="module", params=CAPTURES, ids=lambda file: file.stem)
def capture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A capture's messages, the pcapng file that convert makes of it, and what tshark shows."""
    file = tmp_path_factory.mktemp("tshark") / "capture.pcapng"
    assert main(["convert", str(request.param), str(file)]) == 0
    with request.param.open("rb") as stream:
        exchanges = [item for item in read_messages(stream, "") if isinstance(item, Exchange)]
    return list(events_of(exchanges)), file, packets(file)


@needs_tshark
def test_every_member_of_every_message_of_a_capture_is_shown(capture: Any) -> None:
    messages, _, shown = capture
    assert len(messages) == len(shown) >= 46
    for message, packet in zip(messages, shown, strict=True):
        if message.data:
            record = parse_message(message.data)
            assert packet.shown() == leaves_of(record, "virtio_gpu")
            _check_words(record, packet)
            assert packet.said == _remarks(record)
        else:
            assert packet.shown() == []


def _remarks(record: CtrlHdr) -> list[str]:
    if record.type not in MESSAGES:
        return [f"unknown type {type_name(record.type)}"]
    return [type_name(record.type)] if record.type >= FIRST_ERROR else []


def _check_words(record: CtrlHdr, packet: Packet) -> None:
    """The type, the bits of the flags, and every enumeration in the body."""
    line = next(field.line for field in packet.fields if field.name == "virtio_gpu.hdr.type")
    assert (type_name(record.type) if record.type in MESSAGES else "Unknown") in line
    for flag in CtrlFlag:
        assert packet.values(f"virtio_gpu.hdr.flags.{flag.name}".lower()) == [str(int(bool(record.flags & flag)))]
    for member in record.layout.members:
        words = WORDS.get((record.layout.name, member.name))
        if words is not None and not member.inherited:
            value, name = getattr(record, member.attribute), f"virtio_gpu.{member.name}"
            if isinstance(words, BitsOf):
                for bit in words.flags:
                    assert packet.values(f"{name}.{bit.name}".lower()) == [str(int(bool(value & bit)))]
            elif value in words.names:
                assert words.names[value] in next(field.line for field in packet.fields if field.name == name)


@needs_tshark
def test_requests_and_answers_of_a_capture_know_each_other(capture: Any) -> None:
    messages, _, shown = capture
    for number, (message, packet) in enumerate(zip(messages, shown, strict=True), 1):
        other, name = (number + 1, "response_in") if is_question(message) else (number - 1, "response_to")
        assert packet.values(f"virtio_gpu.{name}") == [str(other)]
        assert messages[other - 1].head == message.head == int(packet.values("virtio_gpu.head")[0])
        assert packet.values("virtio_gpu.queue") == [str(["controlq", "cursorq"].index(message.link))]


@needs_tshark
@pytest.mark.parametrize(("value", "count"), [(0, 1), (2, 1), (3, 201), (4, 0)])
def test_a_filter_finds_exactly_the_messages_with_that_attribute(value: int, count: int, tmp_path: Path) -> None:
    capture, file = next(file for file in CAPTURES if file.stem == "virgl64"), tmp_path / "f.pcapng"
    assert main(["convert", str(capture), str(file)]) == 0
    records = [parse_message(data) for line in capture.read_text().splitlines() for data in _data_of(line)]
    expected = [n for n, r in enumerate(records, 1) if isinstance(r, RespMapInfo) and r.map_info == value]
    assert frames(file, f"virtio_gpu.map_info == {value}") == expected
    assert len(expected) == count


def _data_of(line: str) -> list[bytes]:
    """The request and the answer of a line; the answer to a cursor's command has no bytes, so it has no type."""
    exchange = json.loads(line)
    return [bytes.fromhex(exchange[key]) or CtrlHdr().build() for key in ("request", "response")]


@needs_tshark
def test_every_vector_is_shown_or_refused_as_we_do(tmp_path: Path) -> None:
    shown = packets(pcapng_file(tmp_path / "f", [_request(data) for data in MESSAGE_VECTORS]))
    assert len(shown) == len(MESSAGE_VECTORS) > 80
    for data, packet in zip(MESSAGE_VECTORS, shown, strict=True):
        _check(data, packet)


def _check(data: bytes, packet: Packet) -> None:
    """Shown whole, or with the complaint that we have; what is shown of it is right anyhow."""
    parsed = _parsed(data)
    if isinstance(parsed, WireError):
        assert f"{parsed.kind} at offset {parsed.offset}: {parsed.path}" in packet.said
        assert all(leaf.data == data[leaf.offset : leaf.offset + leaf.size] for leaf in packet.shown())
    else:
        assert packet.shown() == leaves_of(parsed, "virtio_gpu")
        assert not any(text.startswith(("truncated", "trailing")) for text in packet.said)


def _parsed(data: bytes) -> CtrlHdr | WireError:
    try:
        return parse_message(data)
    except WireError as error:
        return error


@needs_tshark
def test_messages_that_end_anywhere_are_refused_where_they_end(tmp_path: Path) -> None:
    """The longest vector of each type, cut at every byte of its first 128, and with a byte too many."""
    longest = {data[:2]: data for data in sorted(MESSAGE_VECTORS, key=len) if len(data) >= 24}
    cut = [data[:size] for data in longest.values() for size in range(min(len(data), 128))]
    cut += [data + b"\0" for data in longest.values()]
    shown = packets(pcapng_file(tmp_path / "f", [_request(data) for data in cut]))
    for data, packet in zip(cut, shown, strict=True):
        _check(data, packet)
