"""Bytes that people write as text: hex digits with what may stand around them, and hex dumps.

Taken is what has one reading only. Of a number of several bytes with ``0x`` before it, or of a dump that is grouped in
words, nobody knows the byte order: those are refused, with a word on what to do.
"""

import re
from typing import NamedTuple

#: ``0x`` in the middle of something, or before something else than one byte
_AMBIGUOUS_PREFIX = re.compile(r"(?<=\S)0[xX]|0[xX](?![0-9A-Fa-f]{2}(?!\S))", re.ASCII)
_PREFIXED = re.compile(r"\s*0[xX][0-9A-Fa-f]+\s*", re.ASCII)
_STRANGE = re.compile(r"[^0-9A-Fa-f\s]", re.ASCII)
_DIGITS = re.compile(r"[0-9A-Fa-f]+")
#: a row of xxd, ``00000010: 0a01 0000  ....``, and of hexdump -C, ``00000010  0a 01 00 00  |....|``
_ROW_WITH_COLON = re.compile(r"([0-9A-Fa-f]{4,16}):(?:[ \t]+(.*))?")
_ROW_BEFORE_BARS = re.compile(r"([0-9A-Fa-f]{8,16}) +(?=[^ #])")
#: what hexdump -C ends with: the offset behind the last byte
_LAST_ROW = re.compile(r"[0-9A-Fa-f]{8,16}")
_BEHIND_THE_BYTES = re.compile(r" {2,}|\t|#")


class HexError(ValueError):
    """Text that is no bytes. offset: characters from its start to the trouble. detail: what it is, what to do."""

    def __init__(self, offset: int, detail: str) -> None:
        super().__init__(f"character {offset}: {detail}")
        self.offset = offset
        self.detail = detail


def bytes_from_hex(text: str) -> bytes:
    """The bytes of hex digits; white space between bytes is skipped, and ``0x`` before the text or before each byte.

    Raises HexError.
    """
    # blanks instead of prefixes: what is left stays where it was
    digits = text.replace("0x", "  ").replace("0X", "  ")
    if strange := _STRANGE.search(digits):
        raise HexError(strange.start(), f"{strange.group()!a} is no hex digit")
    if not _PREFIXED.fullmatch(text) and (ambiguous := _AMBIGUOUS_PREFIX.search(text)):
        detail = "the byte order of a longer 0x number is unknown: write 0x before every byte, or only before the text"
        raise HexError(ambiguous.start(), detail)
    try:
        return bytes.fromhex(digits)
    except ValueError:
        odd = next(run for run in _DIGITS.finditer(digits) if len(run.group()) % 2)
        raise HexError(odd.start(), "an odd number of hex digits: a byte has two") from None


class Row(NamedTuple):
    """A row of a hex dump: the offset that it states, what it shows, and the character where that starts."""

    offset: int
    shown: str
    start: int

    def data(self) -> bytes:
        """Raises HexError."""
        groups = self.shown.split()
        if len(groups) > 1 and len(groups[0]) > 4:
            raise HexError(self.start, "the byte order of a dump in words is unknown: use xxd, or hexdump -C")
        try:
            return bytes_from_hex(self.shown)
        except HexError as error:
            raise HexError(self.start + error.offset, error.detail) from None


def dump_row(text: str) -> Row | None:
    """The row, if the text is one of ``xxd`` or ``hexdump -C``."""
    shown, bar, _ = text.partition("|")
    if bar and "#" not in shown and (start := _ROW_BEFORE_BARS.match(shown)):
        return Row(int(start.group(1), 16), shown[start.end() :].rstrip(), start.end())
    row = _ROW_WITH_COLON.fullmatch(text)
    if row is None:
        return None
    shown = _BEHIND_THE_BYTES.split(row.group(2) or "", maxsplit=1)[0]
    return Row(int(row.group(1), 16), shown, max(row.start(2), 0))


def last_row(text: str) -> Row | None:
    """The row, if the text is nothing but an offset. To be asked inside of a dump only: elsewhere it is data."""
    return Row(int(text, 16), "", 0) if _LAST_ROW.fullmatch(text) else None


class Dump:
    """The bytes that the rows of a dump make, so far. limit: how many they may become."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self._limit = limit
        self._row = b""
        self._squeezed = False

    def squeeze(self) -> None:
        """A ``*``: the last row is repeated up to the offset of the next."""
        self._squeezed = True

    def add(self, row: Row) -> None:
        """Raises HexError if the row is not the next one."""
        data = row.data()
        if row.offset + len(data) > self._limit:
            raise HexError(0, f"more than {self._limit} bytes are no message")
        missing = row.offset - len(self.data)
        if self._squeezed and self._row and missing > 0 and missing % len(self._row) == 0:
            self.data += self._row * (missing // len(self._row))
        elif missing:
            raise HexError(0, f"the row says offset {row.offset:#x}, but {len(self.data):#x} bytes were before it")
        self.data += data
        self._row, self._squeezed = data, False
