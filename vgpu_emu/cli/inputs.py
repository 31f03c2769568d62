"""A file, or standard input, as a command's argument."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, BinaryIO, TypeVar

from cyclopts import Parameter

from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.trace.capture import NotTextError
from vgpu_emu.trace.logfile import LogError

T = TypeVar("T")


def _no_option(_type: Any, value: Any) -> None:
    if value.startswith("-") and value != "-":
        raise UsageError(f"unknown option {printable(value)}; see --help (a file of that name is ./{printable(value)})")


#: the path of a file; ``-`` is standard input
InputFile = Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_option)]


def input_name(file: str) -> str:
    """What to call it in a message to the user."""
    return "standard input" if file == "-" else printable(file) or "''"


def read_input(file: str, reader: Callable[[BinaryIO, str], Iterator[T]]) -> Iterator[T]:
    """What `reader` makes of the file. Raises UsageError if it cannot be read, or is no text where text is wanted."""
    name = input_name(file)
    try:
        with _opened(file) as stream:
            yield from reader(stream, printable(file))
    except NotTextError:
        hint = "of one binary message use --binary; of UTF-16 text make UTF-8: iconv -f UTF-16 -t UTF-8"
        raise UsageError(f"{name} is no text, it has NUL bytes: {hint}") from None
    except LogError as error:
        raise UsageError(printable(str(error))) from None
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        if sys.stdin is None:
            raise UsageError("standard input is closed: name a file, or pipe one in")
        yield sys.stdin.buffer
    else:
        with open(file, "rb") as stream:
            yield stream
