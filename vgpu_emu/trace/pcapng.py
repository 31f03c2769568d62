"""The log as a pcapng file, for Wireshark: each message as it crossed its link, and what a dissector must know beside.

Every link of a run is an interface of its name. Packets are of link type 252 (LINKTYPE_WIRESHARK_UPPER_PDU): tags, then
the message. The tags name the dissector and the direction and, as ports, the chain's head on the driver's side and the
queue's number on the device's, so that a request and its answer are a conversation; ports of the second run are 65,536
higher on that side, and so on. What has no tag is a comment: descriptors that were passed, and what the parties noted
after the message.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence

from vgpu_emu.trace.ladder import rungs
from vgpu_emu.trace.log import CONTROLQ, CURSORQ, FENCES, QUEUE_NUMBERS, RENDERER, Event, Message, is_question

#: Wireshark refuses packets of this link type that are longer; what is behind is cut off, and the true length is told
SNAPLEN = 262144
#: characters of a comment, and comments of a packet: those of a long silence are cut off, since a block has a limit too
MAX_COMMENT, MAX_COMMENTS = 1000, 100
#: what a run adds to the port on the device's side
RUN = 1 << 16
_LINKTYPE = 252
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_COMMENT, _IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL = 1, 2, 3, 9
#: tags of link type 252 (epan/exported_pdu.h)
_DISSECTOR, _PORT_TYPE, _FROM, _TO, _P2P = 12, 24, 25, 26, 35
#: link, and whether it is a request or a question there -> dissector
_DISSECTORS = {
    (CONTROLQ, True): "virtio_gpu",
    (CONTROLQ, False): "virtio_gpu",
    (CURSORQ, True): "virtio_gpu",
    (CURSORQ, False): "virtio_gpu",
    (RENDERER, True): "vgpu_emu_question",
    (RENDERER, False): "vgpu_emu_answer",
    (FENCES, False): "vgpu_emu_signal",
}


def pcapng(runs: Mapping[str, Sequence[Event]]) -> Iterator[bytes]:
    """The blocks of the file. runs: name -> events. The first starts in 1970, the others when the one before ends."""
    yield _block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    interfaces: dict[tuple[str, str], int] = {}
    start = 0.0
    for number, (run, events) in enumerate(runs.items()):
        for message, comments in _messages(events):
            if (run, message.link) not in interfaces:
                interfaces[run, message.link] = len(interfaces)
                yield _interface(message.link, run)
            yield _packet(interfaces[run, message.link], start + message.seconds, _tagged(message, number), comments)
        start += max((event.seconds for event in events), default=0.0)


def _messages(events: Sequence[Event]) -> Iterator[tuple[Message, list[str]]]:
    """Every message and the comments on it; what is noted before any message is said of the first."""
    last: Message | None = None
    comments: list[str] = []
    for event in events:
        if not isinstance(event, Message):
            comments += [f"{rung.sender}: {rung.says} {rung.detail}" for rung in rungs([event])]
            continue
        if last is not None:
            yield last, comments
            comments = []
        last = event
        comments += [f"fds: {', '.join(map(str, event.fds))}"] if event.fds else []
    if last is not None:
        yield last, comments


def _interface(link: str, run: str) -> bytes:
    options = [(_IF_NAME, link), (_IF_DESCRIPTION, run)]
    body = struct.pack("<HHI", _LINKTYPE, 0, SNAPLEN) + _option(_IF_TSRESOL, b"\x09")
    return _block(_INTERFACE, body + b"".join(_option(code, _text(text)) for code, text in options if text) + bytes(4))


def _packet(interface: int, seconds: float, data: bytes, comments: Sequence[str]) -> bytes:
    kept = data[:SNAPLEN]
    time = min(round(seconds * 1e9), (1 << 64) - 1)
    head = struct.pack("<IIIII", interface, time >> 32, time & 0xFFFFFFFF, len(kept), len(data))
    options = b"".join(_option(_COMMENT, _text(comment)) for comment in comments[:MAX_COMMENTS])
    return _block(_PACKET, head + _padded(kept) + options + (bytes(4) if options else b""))


def _tagged(message: Message, run: int) -> bytes:
    """The message behind its tags."""
    asks = is_question(message)
    dissector = _DISSECTORS.get((message.link, asks), "data")
    ports = (message.head & 0xFFFFFFFF, (run % RUN) * RUN + QUEUE_NUMBERS.get(message.link, 0))
    source, target = ports if asks else ports[::-1]
    numbers = {_PORT_TYPE: 0, _FROM: source, _TO: target, _P2P: int(not asks)}
    tags = [_tag(_DISSECTOR, dissector.encode()), *(_tag(tag, struct.pack(">I", n)) for tag, n in numbers.items())]
    return b"".join(tags) + bytes(4) + message.data


def _tag(kind: int, value: bytes) -> bytes:
    """Big endian; the length counts the padding."""
    value = _padded(value)
    return struct.pack(">HH", kind, len(value)) + value


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _text(text: str) -> bytes:
    """As much as fits, without what a terminal would act on."""
    return "".join(c if c.isprintable() else " " for c in text[:MAX_COMMENT]).encode("utf-8", "replace")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
