"""Debian's tshark with the dissector: what it makes of messages, packet by packet."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from vgpu_emu.trace.log import Event
from vgpu_emu.trace.pcapng import pcapng
from vgpu_wire.layout import Record
from vgpu_wire.terms import Records

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "protocol" / "wireshark" / "virtio_gpu.lua"
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark: apt-get install tshark")
#: what the dissectors are called, and so what their fields start with
PROTOCOLS = ("virtio_gpu", "vgpu_emu_question", "vgpu_emu_answer", "vgpu_emu_signal")


class Shown(NamedTuple):
    """A leaf: bytes from the start of the message, how many, which."""

    name: str
    offset: int
    size: int
    data: bytes


class Field(NamedTuple):
    name: str
    offset: int
    size: int
    data: bytes
    #: the value as a filter compares it, and all of the line
    show: str
    line: str
    #: a part of a number
    masked: bool


class Packet(NamedTuple):
    """What was shown of a message. fields: in order, those of our dissectors. said: texts of expert infos."""

    fields: list[Field]
    said: list[str]

    def shown(self) -> list[Shown]:
        """The leaves that stand for bytes: no nodes, no bits, nothing that is generated."""
        return [Shown(*field[:4]) for field in self.fields if field.show and field.size and not field.masked]

    def values(self, name: str) -> list[str]:
        return [field.show for field in self.fields if field.name == name]


def tshark(file: Path, *options: str) -> bytes:
    """stdout. Two passes, so that a request knows its answer."""
    command = ["tshark", "-n", "-2", "-X", f"lua_script:{SCRIPT}", "-r", str(file), *options]
    done = subprocess.run(command, capture_output=True, check=True, timeout=100)
    assert b"Lua" not in done.stderr, done.stderr
    return done.stdout


def frames(file: Path, display_filter: str) -> list[int]:
    """The numbers of the packets that it lets through."""
    return [int(line) for line in tshark(file, "-Y", display_filter, "-T", "fields", "-e", "frame.number").split()]


def packets(file: Path) -> list[Packet]:
    return [_packet(packet) for packet in ElementTree.fromstring(tshark(file, "-T", "pdml")).iter("packet")]


def infos(file: Path) -> list[str]:
    """The Info column of every packet."""
    return tshark(file, "-T", "fields", "-e", "_ws.col.Info").decode().splitlines()


def _packet(packet: ElementTree.Element) -> Packet:
    text = [field.get("show", "") for field in packet.iter("field") if field.get("name") == "_ws.expert.message"]
    assert not any("Lua" in each for each in text), text
    start = next(int(proto.get("pos", "")) for proto in packet.iter("proto") if proto.get("name") in PROTOCOLS)
    fields = [_field(field, start) for field in packet.iter("field") if _is_ours(field)]
    return Packet(fields, [each for each in text if each])


def _is_ours(field: ElementTree.Element) -> bool:
    return field.get("name", "").partition(".")[0] in PROTOCOLS


def _field(field: ElementTree.Element, start: int) -> Field:
    masked = field.get("unmaskedvalue") is not None
    data = b"" if masked else bytes.fromhex(field.get("value", ""))
    place, size = int(field.get("pos", "0")) - start, int(field.get("size", "0"))
    return Field(field.get("name", ""), place, size, data, field.get("show", ""), field.get("showname", ""), masked)


def pcapng_file(path: Path, events: Sequence[Event]) -> Path:
    path.write_bytes(b"".join(pcapng({"": events})))
    return path


def leaves_of(record: Record, protocol: str) -> list[Shown]:
    """Every leaf of a record that was parsed, as our own decoder sees it."""
    return list(_leaves(record, type(record), f"{protocol}.", 0, record.build()))


def _leaves(record: Record, cls: type[Record], above: str, base: int, data: bytes) -> Iterator[Shown]:
    for member in cls.layout.members:
        value = record if member.inherited else getattr(record, member.attribute)
        name, offset = above + member.name, base + member.offset
        if isinstance(value, Records):
            size = value.record.layout.size
            for index, element in enumerate(value):
                yield from _leaves(element, value.record, f"{name}.", offset + index * size, data)
        elif isinstance(value, Record):
            assert member.record is not None
            yield from _leaves(value, member.record, f"{name}.", offset, data)
        elif isinstance(value, tuple):
            size = member.size // len(value)
            places = [offset + index * size for index in range(len(value))]
            yield from (Shown(name, place, size, data[place : place + size]) for place in places)
        else:
            size = len(value) if isinstance(value, bytes) else member.size
            if size:
                yield Shown(name, offset, size, data[offset : offset + size])
