"""Requests that no driver sends: well-formed headers, bodies out of live ids, edges and noise."""

from random import Random

from vgpu_emu.drive.requests import FENCE, PAGE, RING
from vgpu_wire.context_stream import StreamAlloc, StreamFree, StreamWork
from vgpu_wire.control import CtrlType
from vgpu_wire.layout import Record, leaves
from vgpu_wire.messages import MESSAGES, is_response
from vgpu_wire.resource import Format, MemEntry

ENDS = [CtrlType.RESOURCE_UNREF, CtrlType.CTX_DESTROY, CtrlType.RESOURCE_DETACH_BACKING]
REQUESTS = [number for number in CtrlType if number and not is_response(number)]
#: things live a while before they end, and the way to a mapped blob is long
REQUESTS += [number for number in REQUESTS if number not in ENDS] * 2
REQUESTS += [CtrlType.SUBMIT_3D, CtrlType.RESOURCE_CREATE_BLOB, CtrlType.RESOURCE_MAP_BLOB] * 8
RESOURCES = list(range(1, 9))
CONTEXTS = [1, 2, 3]
MEMORY = 64 << 10
EDGES = [0, 1, 2, 3, 16, 63, 64, 255, PAGE - 1, PAGE, PAGE + 1, MEMORY, 2**31, 2**32 - 1]
SMALL = [0, 1, 2, 4, 7, 8, 16]
#: member -> what is likely to be live or just outside
LIKELY: dict[str, list[int]] = {
    "resource_id": [0, 99, *RESOURCES * 3],
    "ctx_id": [0, 9, *CONTEXTS * 3],
    "scanout_id": [0, 0, 1, 2],
    "scanout": [0, 1, 2],
    "format": [0, 64, *(value.value for value in Format)],
    "blob_mem": [0, 1, 1, 2, 2, 2, 2, 2, 3, 3, 4],
    "blob_flags": [0, 1, 1, 1, 1, 2, 3, 7, 8],
    "blob_id": [1, 2],
    "capset_id": [1, 2, 4, 9],
    "capset_index": [0, 1, 9],
    "capset_version": [0, 1, 2],
    "context_init": [0, 0, 1, 4, 9, 0x104],
    "size": [0, PAGE, PAGE, 2 * PAGE, 100],
    "offset": [0, 0, PAGE, 2 * PAGE, 64],
    "level": [0, 0, 1, 31, 32],
    "last_level": [0, 0, 1, 3],
    "fence_id": [1, 2, 3],
    "ring_idx": [0, 1, 63, 64, 255],
    "flags": [0, 0, FENCE, FENCE | RING, RING],
} | dict.fromkeys(
    ("x", "y", "z", "w", "h", "d", "width", "height", "depth", "array_size", "stride", "layer_stride"), SMALL
)


def any_request(random: Random) -> bytes:
    """Mostly whole requests with likely members; sometimes cut, stretched or spoiled ones."""
    number = random.choice(REQUESTS)
    structure = MESSAGES[number]
    data = bytearray(structure.layout.size)
    for leaf in leaves(structure):
        name, size = leaf.path.rpartition(".")[2], leaf.member.size
        value = _member(random, name)
        data[leaf.offset : leaf.offset + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
    data[0:4] = number.to_bytes(4, "little")
    tail = _tail(random, number, data)
    match random.randrange(20):
        case 0:
            return bytes(data + tail)[: random.randrange(len(data) + len(tail) + 1)]
        case 1:
            data[random.randrange(len(data))] = random.randrange(256)
        case 2:
            tail += random.randbytes(random.randrange(40))
    return bytes(data + tail)


def _member(random: Random, name: str) -> int:
    kind = random.randrange(20)
    if kind == 0:
        return random.choice(EDGES)
    if kind == 1:
        return random.getrandbits(64)
    return random.choice(LIKELY.get(name, SMALL))


def _tail(random: Random, number: int, data: bytearray) -> bytes:
    """What is counted, and mostly as many as the request then says."""
    if number == CtrlType.SUBMIT_3D:
        stream = b"".join(_stream_command(random).build() for _ in range(random.randrange(4)))
        if random.randrange(10) == 0:
            stream += random.randbytes(random.randrange(12))
        data[24:28] = len(stream).to_bytes(4, "little")
        return stream
    place = {CtrlType.RESOURCE_ATTACH_BACKING: 28, CtrlType.RESOURCE_CREATE_BLOB: 36}.get(CtrlType(number))
    if place is None:
        return b""
    entries = [_entry(random) for _ in range(random.choice([0, 0, 1, 1, 2, 3, 4]))]
    if random.randrange(10):
        data[place : place + 4] = len(entries).to_bytes(4, "little")
    return b"".join(entry.build() for entry in entries)


def _entry(random: Random) -> MemEntry:
    if random.randrange(10) == 0:
        return MemEntry(addr=random.getrandbits(64), length=random.getrandbits(32))
    return MemEntry(addr=random.randrange(MEMORY - PAGE), length=random.choice([0, 1, 64, PAGE, PAGE]))


def _stream_command(random: Random) -> Record:
    match random.randrange(4):
        case 0:
            return StreamWork(microseconds=random.choice([0, 1000, 20_000]))
        case 1:
            return StreamFree(blob_id=random.choice(LIKELY["blob_id"]))
        case _:
            size = random.choice([PAGE, PAGE, 2 * PAGE, random.choice(EDGES)])
            return StreamAlloc(
                exporter=random.choice([0, 1, 1, 1, 2, 2, 3, 4, 5]), blob_id=random.choice(LIKELY["blob_id"]), size=size
            )
