"""Values at which things go wrong, and the fields of requests that they go into, as the wire definitions have them."""

from random import Random
from typing import NamedTuple

from vgpu_emu.fuzz.seen import SEEN
from vgpu_wire.control import CtrlType
from vgpu_wire.layout import leaves
from vgpu_wire.messages import MESSAGES

#: bits of a field -> numbers around which arithmetic wraps, masks end, signs change
BOUNDARIES: dict[int, tuple[int, ...]] = {
    bits: tuple(
        sorted(
            {0, 1, 2, 3, 4, 15, 16, 17, 63, 64, 65, 255, 4095, 4096, 4097, 8192, 65535, 65536}
            | {
                (1 << shift) + delta
                for shift in (16, 20, 24, 28, 31, 32, 33, 48, 63, 64)
                for delta in (-4096, -1, 0, 1)
            }
        )
    )
    for bits in (8, 16, 32, 64)
}
BOUNDARIES = {bits: tuple(v for v in values if 0 <= v < 1 << bits) for bits, values in BOUNDARIES.items()}


#: bits that are lost where a number is kept in fewer
_HIGH = (4, 5, 6, 7, 8, 15, 16, 24, 31, 32, 40, 63)


class Field(NamedTuple):
    """path: in C terms. offset, size: bytes. seen: values that captures have there."""

    path: str
    offset: int
    size: int
    seen: tuple[int, ...] = ()


#: request type -> its integer fields
FIELDS: dict[int, tuple[Field, ...]] = {
    number.value: tuple(
        Field(leaf.path, leaf.offset, leaf.member.size, SEEN.get(number, {}).get(leaf.path, ()))
        for leaf in leaves(MESSAGES[number])
        if leaf.member.size in {1, 2, 4, 8} and leaf.path != "hdr.type"
    )
    for number in CtrlType
    if number in MESSAGES and number < CtrlType.RESP_OK_NODATA
}


def bent(data: bytes, rng: Random) -> bytes:
    """A request with another value in one of its fields: a boundary, one next to what it had, or one that was seen."""
    fields = FIELDS.get(int.from_bytes(data[:4], "little"))
    if not fields:
        return data
    field = fields[int(rng.random() * len(fields))]
    end = field.offset + field.size
    was = int.from_bytes(data[field.offset : end], "little")
    choice = rng.random()
    values = field.seen if field.seen and choice < 0.5 else BOUNDARIES[field.size * 8]
    value = values[int(rng.random() * len(values))]
    if choice < 0.2:
        value = was + 1 if choice < 0.1 else was - 1
    elif choice < 0.3:
        # the same in the low bits, which are all that a shorter number keeps
        value = was ^ 1 << _HIGH[int(rng.random() * len(_HIGH))] % (field.size * 8)
    return data[: field.offset] + (value % (1 << field.size * 8)).to_bytes(field.size, "little") + data[end:]
