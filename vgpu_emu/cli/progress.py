"""A sign of life on stderr while something takes long."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from vgpu_emu.cli.usage import complain

T = TypeVar("T")
#: seconds of silence
PATIENCE = 2.0


def progress(what: str, total: int, items: Iterable[T], clock: Callable[[], float] = time.monotonic) -> Iterator[T]:
    """The items; after each that ends two seconds of silence, a line: ``matrix: 12 of 30``."""
    spoke = clock()
    for done, item in enumerate(items, 1):
        yield item
        now = clock()
        if now - spoke > PATIENCE:
            spoke = now
            complain(f"{what}: {done} of {total}")


def teller(what: str, clock: Callable[[], float] = time.monotonic) -> Callable[[str], None]:
    """To be told what is going on; it passes on what ends two seconds of silence: ``parts: downloading: 12 %``."""
    spoke = clock()

    def tell(text: str) -> None:
        nonlocal spoke
        now = clock()
        if now - spoke > PATIENCE:
            spoke = now
            complain(f"{what}: {text}")

    return tell
