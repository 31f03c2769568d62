"""How people write bytes as text: what is taken, and what is refused because it has two readings."""

import io

import pytest

from vgpu_emu.trace.capture import Exchange, Item, Unreadable, read_messages
from vgpu_emu.trace.hextext import HexError, bytes_from_hex
from vgpu_wire.blob import ResourceMapBlob
from vgpu_wire.display import RespEdid

MAP = ResourceMapBlob(resource_id=5, offset=0x1000).build()
EDID = RespEdid(size=128, edid=bytes(range(0x20, 0x60)).ljust(1024, b"\0")).build()
#: xxd map
XXD = """\
00000000: 0802 0000 0000 0000 0000 0000 0000 0000  ................
00000010: 0000 0000 0000 0000 0500 0000 0000 0000  ................
00000020: 0010 0000 0000 0000                      ........
"""
#: xxd -g1 map
XXD_BYTES = """\
00000000: 08 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
00000010: 00 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00  ................
00000020: 00 10 00 00 00 00 00 00                          ........
"""
#: hexdump -C map
HEXDUMP = """\
00000000  08 02 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
00000010  00 00 00 00 00 00 00 00  05 00 00 00 00 00 00 00  |................|
00000020  00 10 00 00 00 00 00 00                           |........|
00000028
"""
#: hexdump -C edid
HEXDUMP_SQUEEZED = """\
00000000  04 11 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
00000010  00 00 00 00 00 00 00 00  80 00 00 00 00 00 00 00  |................|
00000020  20 21 22 23 24 25 26 27  28 29 2a 2b 2c 2d 2e 2f  | !"#$%&'()*+,-./|
00000030  30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d 3e 3f  |0123456789:;<=>?|
00000040  40 41 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f  |@ABCDEFGHIJKLMNO|
00000050  50 51 52 53 54 55 56 57  58 59 5a 5b 5c 5d 5e 5f  |PQRSTUVWXYZ[\\]^_|
00000060  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
*
00000420
"""
#: xxd -a edid
XXD_SQUEEZED = """\
00000000: 0411 0000 0000 0000 0000 0000 0000 0000  ................
00000010: 0000 0000 0000 0000 8000 0000 0000 0000  ................
00000020: 2021 2223 2425 2627 2829 2a2b 2c2d 2e2f   !"#$%&'()*+,-./
00000030: 3031 3233 3435 3637 3839 3a3b 3c3d 3e3f  0123456789:;<=>?
00000040: 4041 4243 4445 4647 4849 4a4b 4c4d 4e4f  @ABCDEFGHIJKLMNO
00000050: 5051 5253 5455 5657 5859 5a5b 5c5d 5e5f  PQRSTUVWXYZ[\\]^_
00000060: 0000 0000 0000 0000 0000 0000 0000 0000  ................
*
00000410: 0000 0000 0000 0000 0000 0000 0000 0000  ................
"""


def read(text: str, limit: int = 1 << 20) -> list[Item]:
    return list(read_messages(io.BytesIO(text.encode()), "file", limit))


def refused(text: str) -> Unreadable:
    """The one thing that is wrong with this text."""
    (item,) = [item for item in read(text) if isinstance(item, Unreadable)]
    return item


@pytest.mark.parametrize(
    "text",
    [
        MAP.hex(),
        MAP.hex().upper(),
        MAP.hex(" "),
        MAP.hex(" ", 4),
        "\t" + MAP.hex("\t", 2) + " ",
        "0x" + MAP.hex(),
        "0X" + MAP.hex(),
        " ".join(f"0x{byte:02x}" for byte in MAP),
        " ".join(f"{byte:#04X}" for byte in MAP),
        MAP.hex() + " # map 5",
        MAP.hex() + "#map 5",
        f"# first\n\n   # second\n{MAP.hex()}\n",
    ],
)
def test_bytes_of_one_line(text: str) -> None:
    (item,) = read(text)
    assert isinstance(item, Exchange)
    assert item.request == MAP


@pytest.mark.parametrize(
    ("text", "offset", "why"),
    [
        ("0a1", 0, "odd number"),
        ("0a0b 1 2", 5, "odd number"),
        ("0a,0b", 2, "','"),
        ("0x0a, 0x0b", 4, "','"),
        ("0x0g", 3, "'g'"),
        ("0a\u06600b", 2, "no hex digit"),
        ("0x0000010a 0x00000000", 0, "byte order"),
        ("0a 0x1", 3, "byte order"),
        ("0a0x0b", 2, "byte order"),
        ("0x 0x0a", 0, "byte order"),
        ("0x", 0, "byte order"),
        (" 0x0a1", 3, "odd number"),
        ("0x0a 0b1", 5, "odd number"),
        ("0a\u00a00b", 2, "no hex digit"),
        ("0a\x1c0b", 2, "no hex digit"),
    ],
)
def test_what_has_no_reading_or_two_is_refused_where_it_is(text: str, offset: int, why: str) -> None:
    with pytest.raises(HexError) as caught:
        bytes_from_hex(text)
    assert caught.value.offset == offset
    assert why in caught.value.detail


@pytest.mark.parametrize("dump", [XXD, XXD_BYTES, HEXDUMP], ids=["xxd", "xxd -g1", "hexdump -C"])
def test_rows_of_a_dump_are_one_message(dump: str) -> None:
    assert read(dump) == [Exchange(1, request=MAP)]
    assert read(f"{dump}\n{dump}{MAP.hex()}\n{dump}# end") == [
        Exchange(order, request=MAP)
        for order in (1, 2 + dump.count("\n"), 2 + 2 * dump.count("\n"), 3 + 2 * dump.count("\n"))
    ]


@pytest.mark.parametrize("dump", [HEXDUMP_SQUEEZED, XXD_SQUEEZED], ids=["hexdump -C", "xxd -a"])
def test_repeated_rows_that_a_dump_leaves_out_are_put_back(dump: str) -> None:
    assert read(dump) == [Exchange(1, response=EDID)]


@pytest.mark.parametrize(
    ("dump", "line", "why"),
    [
        (XXD.replace("00000010:", "00000020:"), 2, "offset 0x20, but 0x10 bytes"),
        (XXD[XXD.index("00000010:") :], 1, "offset 0"),
        ("00000000: 00000208 00000000 00000000 00000000  ................\n" + XXD[68:], 1, "byte order"),
        (HEXDUMP.replace("05 00", "05 0z"), 2, "no hex digit"),
        (HEXDUMP.replace("00000028", "00000029"), 4, "offset 0x29"),
        (HEXDUMP_SQUEEZED.replace("00000420", "00000421"), 9, "offset 0x421"),
    ],
)
def test_broken_dump_is_refused_once(dump: str, line: int, why: str) -> None:
    error = refused(dump)
    assert (error.order, error.path, error.kind) == (line, f"file:{line}", "hex")
    assert why in error.detail


def test_numbers_of_words_are_not_taken_for_bytes() -> None:
    # hexdump without -C shows words of the host's byte order
    assert "odd number" in refused("0000000 0208 0000 0000 0000 0000 0000 0000 0000").detail


def test_eight_digits_alone_end_a_dump_but_are_data_elsewhere() -> None:
    assert read("08020000") == [Exchange(1, request=bytes.fromhex("08020000"))]


def test_squeezed_row_cannot_ask_for_more_memory_than_a_message_has() -> None:
    dump = "\n".join(HEXDUMP_SQUEEZED.splitlines()[:-1])
    for offset, message in ((0x3F0, True), (0x400, True), (0x410, False)):
        (item,) = read(f"{dump}\n{offset:08x}\n", limit=0x800)
        assert isinstance(item, Exchange) == message
    assert "more than" in refused(f"{dump}\nfffffffffffffff0\n").detail


def test_trailing_star_of_a_broken_dump_is_no_second_error() -> None:
    assert refused(HEXDUMP_SQUEEZED.replace("04 11", "04 1"))


@pytest.mark.parametrize("text", ["00000000{}|", "00000000 0a{}z|", "00000000:{}z", "0x0a{}z", "{}0a", "0a{}#"])
def test_time_grows_with_the_line_not_with_its_square(text: str) -> None:
    # a quarter of a million spaces: squared, minutes
    assert len(read(text.format(" " * (1 << 18)))) <= 1
