"""The golden vectors of protocol/vectors, written by hand: what we decode, encode and refuse is what they say."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from wire_structures import STRUCTURES

from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.errors import Kind, WireError
from vgpu_wire.layout import Record, to_fields
from vgpu_wire.messages import MESSAGES, parse_message

Vector = dict[str, Any]

FILES = sorted(Path(__file__).parents[2].joinpath("protocol", "vectors").glob("*.json"))
VECTORS: list[Vector] = [vector for file in FILES for vector in json.loads(file.read_text(encoding="utf-8"))]
VALID = [vector for vector in VECTORS if "fields" in vector]
INVALID = [vector for vector in VECTORS if "error" in vector]


def _name(vector: Vector) -> str:
    return str(vector["name"])


def _decoded(vector: Vector) -> Record:
    """The rule of the format: what starts with a header is a message, and its type says which."""
    cls, data = STRUCTURES[vector["structure"]], bytes.fromhex(vector["hex"])
    return parse_message(data) if issubclass(cls, CtrlHdr) else cls.parse(data)


def _as_json(value: Any) -> Any:
    """Byte arrays as hex, like the vectors have them."""
    if isinstance(value, dict):
        return {name: _as_json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_as_json(element) for element in value]
    return value.hex() if isinstance(value, bytes) else value


def _as_values(fields: Any, like: Any) -> Any:
    """The way back: hex as bytes where `like` has bytes."""
    if isinstance(like, dict):
        return {name: _as_values(fields[name], member) for name, member in like.items()}
    if isinstance(like, list):
        return [_as_values(field, element) for field, element in zip(fields, like, strict=True)]
    return bytes.fromhex(fields) if isinstance(like, bytes) else fields


@pytest.mark.parametrize("vector", VALID, ids=_name)
def test_bytes_have_these_fields(vector: Vector) -> None:
    record = _decoded(vector)
    assert record.layout.name == vector["structure"]
    assert _as_json(to_fields(record)) == vector["fields"]


@pytest.mark.parametrize("vector", VALID, ids=_name)
def test_decoded_bytes_are_built_again(vector: Vector) -> None:
    assert _decoded(vector).build() == bytes.fromhex(vector["hex"])


@pytest.mark.parametrize("vector", VALID, ids=_name)
def test_fields_have_these_bytes(vector: Vector) -> None:
    record = _decoded(vector)
    fields = _as_values(vector["fields"], to_fields(record))
    assert record.layout.struct.build(fields) == bytes.fromhex(vector["hex"])


@pytest.mark.parametrize("vector", INVALID, ids=_name)
def test_bytes_are_refused_with_this_reason(vector: Vector) -> None:
    with pytest.raises(WireError) as refused:
        _decoded(vector)
    error = refused.value
    assert {"kind": error.kind, "path": error.path, "offset": error.offset} == vector["error"]


def test_every_structure_has_a_vector() -> None:
    assert {vector["structure"] for vector in VALID} == set(STRUCTURES)


def test_every_message_type_has_a_vector() -> None:
    types = {vector["fields"]["hdr"]["type"] for vector in VALID if "hdr" in vector["fields"]}
    assert types >= set(CtrlType)
    assert types >= set(MESSAGES)


def test_every_way_to_refuse_bytes_has_a_vector() -> None:
    assert {vector["error"]["kind"] for vector in INVALID} == set(get_args(Kind)) - {"count", "value"}


def test_vectors_have_the_documented_shape() -> None:
    for vector in VECTORS:
        assert list(vector) == ["name", "structure", "source", "hex", "fields" if "fields" in vector else "error"]
        assert vector["source"]
        assert set(vector["hex"]) <= set("0123456789abcdef ")
    assert len({_name(vector) for vector in VECTORS}) == len(VECTORS)
