"""dissect.cstruct, which reads the kernel's header as text, sees in random bytes what vgpu_wire sees."""

import re
from functools import cache
from random import Random
from typing import Any

import pytest
from dissect.cstruct import cstruct
from uapi_header import DMA_BUF, VIRTIO_GPU, VIRTIO_RING, header_text
from uapi_names import BEHIND, NEWER, PROPOSED
from wire_structures import STRUCTURES, random_bytes

from vgpu_wire.layout import to_fields

MEM_ENTRY = "virtio_gpu_mem_entry"


def _digestible(header: str) -> str:
    """The header in the words that dissect.cstruct knows."""
    text = header_text(header)
    numbers = re.findall(r"^#define \w+\s+(?:0x)?[0-9a-f]+$", text, flags=re.MULTILINE)
    text = re.sub(r"^#(?:.*\\\n)*.*$", "", text, flags=re.MULTILINE)
    # __le32 x, y, z; -> a declaration each
    text = re.sub(r"(\w+) (\w+), (\w+), (\w+);", r"\1 \2; \1 \3; \1 \4;", text)
    # a structure that is defined inside another one -> before it
    text = re.sub(r"(struct \w+ {[^{}]*)(struct \w+) ({[^{}]*})", r"\2 \3;\n\1\2", text)
    return "\n".join([*numbers, text.replace("capset_data[]", "capset_data[EOF]")])


def _split_ring() -> str:
    """The structures of a split ring, without the arrays behind them; the rest of that header is code."""
    structures = re.findall(r"struct vring_(?!packed)\w+ {[^{}]*};", header_text(VIRTIO_RING))
    return re.sub(r"\w+ ring\[\];", "", "\n".join(structures)).replace("__virtio", "__le")


@cache
def _decoder() -> Any:
    proposed = [text for text in PROPOSED if text.startswith("struct")]
    decoder = cstruct(endian="<")
    decoder.load("typedef uint16_t __le16; typedef uint32_t __le32; typedef uint64_t __le64; typedef int32_t __s32;")
    decoder.load("\n".join([_digestible(VIRTIO_GPU), _digestible(DMA_BUF), _split_ring(), *proposed]))
    return decoder


def _fields(value: Any) -> Any:
    """What dissect.cstruct decoded, as plain values: byte arrays as bytes."""
    kind: Any = type(value)
    if hasattr(kind, "fields"):
        return {name: _fields(getattr(value, name)) for name in kind.fields}
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, list):
        return bytes(value) if kind.type.__name__ == "uint8" else [_fields(element) for element in value]
    return int(value)


def _decoded(name: str, data: bytes) -> dict[str, Any]:
    """The structure, and what follows it in a message."""
    structure = getattr(_decoder(), name)
    fields: dict[str, Any] = _fields(structure(data))
    if f"{name}.entries" in BEHIND:
        entry = getattr(_decoder(), MEM_ENTRY)
        places = [structure.size + index * entry.size for index in range(fields["nr_entries"])]
        fields["entries"] = [_fields(entry(data[place:])) for place in places]
    if f"{name}.commands" in BEHIND:
        fields["commands"] = data[structure.size : structure.size + fields["size"]]
    return fields


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_field_is_what_a_second_decoder_reads(name: str) -> None:
    random = Random(name)
    for count in (0, 1, 2, 7):
        data = random_bytes(STRUCTURES[name], random, count)
        ours = to_fields(STRUCTURES[name].parse(data))
        theirs = _decoded(name, data)
        for newer in ours.keys() - theirs.keys():
            assert f"{name}.{newer}" in NEWER
            del ours[newer]
        assert ours == theirs
