"""Values that fields are given: those of captures are in the captures, and every field can be bent."""

import json
from pathlib import Path
from random import Random

from vgpu_emu.fuzz.boundary import FIELDS, Field, bent
from vgpu_emu.fuzz.seen import SEEN
from vgpu_wire.blob import ResourceCreateBlob

CAPTURES = Path(__file__).parents[1] / "data" / "captures"


def captured() -> set[tuple[int, str, int]]:
    """(request, field, value) of every request in every capture."""
    return {
        (kind, field.path, value_of(field, data))
        for file in CAPTURES.glob("*.jsonl")
        for line in file.read_text(encoding="utf-8").splitlines()
        if (kind := int.from_bytes((data := bytes.fromhex(json.loads(line)["request"]))[:4], "little")) in FIELDS
        for field in FIELDS[kind]
    }


def value_of(field: Field, data: bytes) -> int:
    return int.from_bytes(data[field.offset : field.offset + field.size], "little")


def test_what_was_seen_is_in_the_captures() -> None:
    seen = {(kind.value, path, value) for kind, fields in SEEN.items() for path in fields for value in fields[path]}
    assert len(seen) > 80
    assert seen <= captured()


def test_every_field_is_bent_and_gets_what_was_seen() -> None:
    plain, rng = ResourceCreateBlob(resource_id=7).build(), Random(1)
    fields = FIELDS[ResourceCreateBlob().type]
    changed = {
        (field.path, value_of(field, data))
        for data in (bent(plain, rng) for _ in range(3000))
        for field in fields
        if value_of(field, data) != value_of(field, plain)
    }
    assert {path for path, _ in changed} == {field.path for field in fields}
    assert {("blob_flags", 7), ("size", 3145728), ("blob_id", 1911)} <= changed
