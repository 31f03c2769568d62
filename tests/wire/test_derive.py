"""A layout that cannot be derived fails where its class is defined: there is no slow path, and no wrong one."""

from typing import Annotated

import construct
import pytest

from vgpu_wire.control import CtrlHdr
from vgpu_wire.derive import wire
from vgpu_wire.layout import Record
from vgpu_wire.resource import MemEntry
from vgpu_wire.terms import Records, le16, le32


def test_stated_size_must_be_the_derived_one() -> None:
    with pytest.raises(TypeError, match="broken: derived 6 bytes, stated 8"):

        @wire("broken", 8)
        class _Broken(Record, frozen=True):
            a: le32 = 0
            b: le16 = 0


def test_member_that_says_nothing_about_the_wire_fails() -> None:
    with pytest.raises(TypeError, match=r"plain: .*int.* says nothing about the wire"):

        @wire("broken", 4)
        class _Broken(Record, frozen=True):
            plain: int = 0


def test_annotation_as_a_string_says_nothing_about_the_wire() -> None:
    with pytest.raises(TypeError, match="a: le32 says nothing about the wire"):

        @wire("broken", 4)
        class _Broken(Record, frozen=True):
            a: "le32" = 0


@pytest.mark.parametrize(
    "term",
    [
        construct.Float32l,
        construct.Int32ub,
        construct.Int24ul,
        construct.Flag,
        construct.VarInt,
        construct.CString("ascii"),
        construct.GreedyRange(construct.Int8ul),
        construct.Array(2, construct.Float32l),
        construct.Array(2, construct.Bytes(2)),
        construct.Enum(construct.Int32ul, one=1),
    ],
    ids=["float", "big endian", "3 bytes", "bool", "varint", "string", "range", "floats", "byte arrays", "enumeration"],
)
def test_term_without_a_fast_codec_fails(term: construct.Construct) -> None:
    with pytest.raises(TypeError, match="a: no fast codec for"):

        @wire("broken", 4)
        class _Broken(Record, frozen=True):
            a: Annotated[int, term] = 0


def test_array_of_a_class_and_array_of_its_structure_must_be_of_the_same() -> None:
    with pytest.raises(TypeError, match="a: no fast codec for"):

        @wire("broken", 48)
        class _Fixed(Record, frozen=True):
            a: Annotated[Records[MemEntry], construct.Array(2, CtrlHdr.layout.struct)] = Records(MemEntry, bytes(48))

    with pytest.raises(TypeError, match=r"a: .* is no array of a record class"):

        @wire("broken", 4)
        class _Counted(Record, frozen=True):
            n: le32 = 0
            a: Annotated[Records[MemEntry], construct.Array(construct.this.n, CtrlHdr.layout.struct)] = Records(
                MemEntry, b""
            )


def test_counted_array_of_integers_fails() -> None:
    with pytest.raises(TypeError, match=r"a: .* is no array of a record class"):

        @wire("broken", 4)
        class _Broken(Record, frozen=True):
            n: le32 = 0
            a: Annotated[tuple[int, ...], construct.Array(construct.this.n, construct.Int32ul)] = ()


def test_part_of_variable_length_must_be_the_last() -> None:
    with pytest.raises(TypeError, match="broken: a has no fixed length and is not the last member"):

        @wire("broken", 4)
        class _Broken(Record, frozen=True):
            a: Annotated[bytes, construct.GreedyBytes] = b""
            b: le32 = 0


def test_counter_must_be_a_member() -> None:
    with pytest.raises(TypeError, match="broken: no integer size counts a"):

        @wire("broken", 4)
        class _Broken(Record, frozen=True):
            n: le32 = 0
            a: Annotated[bytes, construct.Bytes(construct.this.size)] = b""


def test_length_that_is_no_single_member_fails() -> None:
    with pytest.raises(TypeError, match="does not name a member"):

        @wire("broken", 4)
        class _Broken(Record, frozen=True):
            n: le32 = 0
            a: Annotated[bytes, construct.Bytes(lambda context: 3)] = b""


def test_byte_array_keeps_a_default_that_is_not_zero() -> None:
    @wire("magic", 6)
    class Magic(Record, frozen=True):
        magic: Annotated[bytes, construct.Bytes(4)] = b"VGPU"
        version: le16 = 1

    assert Magic().build() == b"VGPU\x01\x00"
