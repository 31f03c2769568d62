"""The dissector on what captures of a queue do not have: the renderer's link, runs, notes, long and broken bytes."""

import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from support import OK, create_and_mmap
from tshark import ROOT, Packet, frames, infos, leaves_of, needs_tshark, packets, pcapng_file, tshark

from vgpu_emu.guest.file import DrmFile
from vgpu_emu.link.chain import Chain
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.trace.dissector import KINDS
from vgpu_emu.trace.log import CONTROLQ, CURSORQ, FENCES, GUEST, HOST, RENDERER, VMM, Event, Message, Note, is_question
from vgpu_emu.trace.pcapng import MAX_COMMENT, MAX_COMMENTS, SNAPLEN, pcapng
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.context_stream import StreamWork
from vgpu_wire.control import CtrlFlag
from vgpu_wire.display import UpdateCursor
from vgpu_wire.layout import Record
from vgpu_wire.messages import MESSAGES, parse_message
from vgpu_wire.render import CmdSubmit
from vgpu_wire.renderer_link import QUESTIONS, Answer, Question, Signal, parse_question

pytestmark = needs_tshark


@pytest.fixture(scope="module")
def events() -> Sequence[Event]:
    """A buffer's life, and a fence that the renderer signals later."""
    with Lockstep() as machine:
        file = DrmFile(machine.driver)
        handle, vma = machine.run(create_and_mmap(file))
        work = StreamWork(microseconds=1000).build()
        fenced = CmdSubmit(ctx_id=1, flags=CtrlFlag.FENCE.value, fence_id=9, size=len(work), commands=work)
        machine.submit(Chain(77, 0, fenced.build(), 64))
        machine.advance(1.0)
        vma.munmap()
        machine.run(file.gem_close(handle))
        return list(machine.log.events)


def _read(message: Message) -> tuple[str, Record]:
    """The dissector that is wanted, and what we decode."""
    if message.link == FENCES:
        return "vgpu_emu_signal", Signal.parse(message.data)
    if message.link != RENDERER:
        return "virtio_gpu", parse_message(message.data)
    question = message.sender == VMM
    parse = parse_question if question else Answer.parse
    return ("vgpu_emu_question" if question else "vgpu_emu_answer"), parse(message.data)


def test_every_member_of_every_link_is_shown(events: Sequence[Event], tmp_path: Path) -> None:
    messages = [event for event in events if isinstance(event, Message)]
    shown = packets(pcapng_file(tmp_path / "f", events))
    assert {message.link for message in messages} == {CONTROLQ, RENDERER, FENCES}
    for message, packet in zip(messages, shown, strict=True):
        name, record = _read(message)
        assert packet.shown() == leaves_of(record, name)


def test_a_question_knows_its_answer(events: Sequence[Event], tmp_path: Path) -> None:
    messages = [event for event in events if isinstance(event, Message)]
    shown = packets(pcapng_file(tmp_path / "f", events))
    links = [(n, m, p) for n, (m, p) in enumerate(zip(messages, shown, strict=True), 1) if m.link == RENDERER]
    assert len(links) > 10
    for number, message, packet in links:
        question = is_question(message)
        assert packet.values(f"vgpu_emu_{'question.response_in' if question else 'answer.response_to'}") == [
            str(number + (1 if question else -1))
        ]


def test_a_fenced_request_is_answered_when_its_fence_is_signalled(events: Sequence[Event], tmp_path: Path) -> None:
    file = pcapng_file(tmp_path / "f", events)
    request, answer = frames(file, "virtio_gpu.hdr.fence_id == 9 && virtio_gpu.hdr.flags.fence == 1")
    (signal,) = frames(file, "vgpu_emu_signal.fence_id == 9")
    assert request < signal < answer
    assert frames(file, f"virtio_gpu.response_in == {answer}") == [request]


def test_an_answer_of_no_bytes_is_no_mistake(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    cursor = Message(now, CURSORQ, GUEST, VMM, UpdateCursor(resource_id=5).build(), 3)
    file = pcapng_file(tmp_path / "f", [cursor, Message(now + 0.5, CURSORQ, VMM, GUEST, b"", 3)])
    request, answer = packets(file)
    assert answer.said == request.said == []
    assert infos(file)[1] == "an answer of no bytes to UPDATE_CURSOR"
    assert (answer.values("virtio_gpu.response_to"), answer.values("virtio_gpu.time")) == (["1"], ["0.500000000"])


def test_an_answer_that_was_lost_or_comes_twice_belongs_to_nobody_else(tmp_path: Path) -> None:
    asks, says = Message(0.0, CONTROLQ, GUEST, VMM, bytes(24), 5), Message(0.0, CONTROLQ, VMM, GUEST, OK.build(), 5)
    file = pcapng_file(tmp_path / "f", [asks, asks, says, says])
    assert frames(file, "virtio_gpu.response_in == 3") == [2]
    assert frames(file, "virtio_gpu.response_to") == [3]
    questions = [Message(0.0, RENDERER, VMM, HOST, Question(op=13, serial=n).build()) for n in (1, 2)]
    answers = [Message(0.0, RENDERER, HOST, VMM, Answer(serial=n).build()) for n in (2, 1, 1)]
    file = pcapng_file(tmp_path / "f", [*questions, *answers])
    pairs = [(1, 4), (2, 3)]
    for question, answer in pairs:
        assert frames(file, f"vgpu_emu_question.response_in == {answer}") == [question]
    assert frames(file, "vgpu_emu_answer.response_to") == [3, 4]


def test_runs_do_not_answer_each_other(tmp_path: Path) -> None:
    asks = Message(1.0, CONTROLQ, GUEST, VMM, bytes(24))
    answers = Message(2.0, CONTROLQ, VMM, GUEST, RespMapInfo(map_info=0x33).build())
    file = tmp_path / "f"
    file.write_bytes(b"".join(pcapng({"one": [asks], "two": [answers], "three": [asks, answers]})))
    assert frames(file, "virtio_gpu.response_in || virtio_gpu.response_to") == [3, 4]
    # nor where nobody asks for fields, and Wireshark shows less to a dissector
    assert [" to " in info for info in infos(file)] == [False, False, False, True]
    times = tshark(file, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.interface_description").decode().split()
    assert times == ["1.000000000", "one", "3.000000000", "two", "4.000000000", "three", "5.000000000", "three"]
    # bits beside the attribute: the filter for the number does not find it, the one for the attribute does
    assert frames(file, "virtio_gpu.map_info == 3") == []
    assert frames(file, "virtio_gpu.map_info.value == 3") == [2, 4]


def test_what_the_parties_note_and_pass_is_a_comment(tmp_path: Path) -> None:
    asks = Message(0.0, RENDERER, VMM, HOST, bytes(8))
    passes = Message(0.0, RENDERER, HOST, VMM, bytes(16), fds=(7, 8))
    notes = [Note(0.0, GUEST, "a\x1b[31mb", {"n": 1}), Note(0.0, GUEST, "x" * (MAX_COMMENT + 1), {})]
    many = [Note(0.0, VMM, "again", {})] * (MAX_COMMENTS + 1)
    file = pcapng_file(tmp_path / "f", [notes[0], asks, passes, notes[1], *many])
    first, second = tshark(file, "-T", "fields", "-E", "aggregator=|", "-e", "frame.comment").decode().splitlines()
    assert first == "guest: a [31mb n 1"
    comments = second.split("|")
    assert (comments[0], comments[2]) == ("fds: 7, 8", "vmm: again ")
    assert (len(comments), len(comments[1])) == (MAX_COMMENTS, MAX_COMMENT)


@pytest.mark.parametrize("surplus", [-1, 0, 1])
def test_of_a_message_that_wireshark_would_refuse_the_start_is_kept(surplus: int, tmp_path: Path) -> None:
    message = Message(0.0, CONTROLQ, GUEST, VMM, b"")
    tags = len(b"".join(pcapng({"": [message]}))) - len(b"".join(pcapng({"": []}))) - 32 - _interface_bytes()
    size = SNAPLEN + surplus - tags - 32
    data = CmdSubmit(size=size, commands=b"c" * size).build()
    (packet,) = packets(pcapng_file(tmp_path / "f", [Message(0.0, CONTROLQ, GUEST, VMM, data)]))
    cut = [f"{len(data) - 1} of {len(data)} bytes are in the capture"]
    assert packet.said == (cut if surplus > 0 else [])
    assert packet.shown()[-1].size == size - max(surplus, 0)


def _interface_bytes() -> int:
    return 12 + 8 + 8 + 12 + 4


def test_no_bytes_make_the_dissector_stumble(tmp_path: Path) -> None:
    """Random bytes behind every type, and of every length, on every link: `packets` refuses Lua errors."""
    random = Random(1)
    starts = [number.to_bytes(4, "little") for number in (*MESSAGES, *QUESTIONS, 0, 0xFFFFFFFF)]
    links = [(CONTROLQ, GUEST, VMM), (CONTROLQ, VMM, GUEST), (RENDERER, VMM, HOST), (RENDERER, HOST, VMM)]
    made = [
        Message(0.0, *random.choice([*links, (FENCES, HOST, VMM)]), _bytes(random, random.choice(starts)))
        for _ in range(1500)
    ]
    shown = packets(pcapng_file(tmp_path / "f", made))
    assert len(shown) == len(made)
    for message, packet in zip(made, shown, strict=True):
        assert all(leaf.data == message.data[leaf.offset : leaf.offset + leaf.size] for leaf in packet.shown())
    assert {field.name.partition(".")[0] for packet in shown for field in packet.fields} == {k.name for k in KINDS}


def _bytes(random: Random, start: bytes) -> bytes:
    data = start + random.randbytes(random.randrange(120))
    # most counters are too high: make some of them fit
    return data if random.random() < 0.5 else data[:28] + bytes([random.randrange(4), 0, 0, 0]) + data[32:]


def test_a_capture_of_somebody_else_needs_no_tags_but_the_name(tmp_path: Path) -> None:
    """Without ports and direction the type says who speaks, and answers belong to requests in their order."""
    requests, answers = [bytes([0, 1]) + bytes(22), bytes([8, 2]) + bytes(38)], [RespMapInfo(map_info=3).build()] * 2
    file = tmp_path / "f"
    file.write_bytes(_untagged(requests + answers))
    shown: list[Packet] = packets(file)
    assert [packet.values("virtio_gpu.response_in") for packet in shown[:2]] == [["3"], ["4"]]
    assert infos(file)[2:] == [
        "RESP_OK_MAP_INFO to GET_DISPLAY_INFO, map_info WC",
        "RESP_OK_MAP_INFO to RESOURCE_MAP_BLOB, map_info WC",
    ]


def _untagged(messages: list[bytes]) -> bytes:
    """A classic pcap file, of link type 252."""
    head = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 fc000000")
    tags = bytes.fromhex("000c000c") + b"virtio_gpu\0\0" + bytes(4)
    sizes = [(len(tags + data)).to_bytes(4, "little") for data in messages]
    return head + b"".join(bytes(8) + size + size + tags + data for size, data in zip(sizes, messages, strict=True))


def test_filters_of_the_manual_are_filters(events: Sequence[Event], tmp_path: Path) -> None:
    """Every field that docs/traces.md names is there; a filter with a field that is not makes tshark fail."""
    manual = (ROOT / "docs" / "traces.md").read_text(encoding="utf-8")
    table = manual.partition("| filter | finds |")[2].partition("\n\n")[0]
    filters = [text.replace("\\|", "|") for line in table.splitlines() for text in re.findall(r"`(.*?)`", line)]
    assert len(filters) > 10
    file = pcapng_file(tmp_path / "f", events)
    found = frames(file, " || ".join(f"({each})" for each in filters))
    assert set(frames(file, "virtio_gpu.resource_id == 2")) < set(found)
