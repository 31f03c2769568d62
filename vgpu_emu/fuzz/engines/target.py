"""What an engine needs of a target."""

from collections.abc import Callable
from typing import NamedTuple

#: data, the most bytes that may come back, a seed -> other data
Mutate = Callable[[bytes, int, int], bytes]
#: data, other data, the most bytes that may come back, a seed -> data of both
Cross = Callable[[bytes, bytes, int, int], bytes]


class Target(NamedTuple):
    """run: carries out any bytes; it raises Finding, and anything else that it raises is a finding, too.

    mutate, cross: what knows the encoding better than an engine does; None: nothing does.
    """

    name: str
    run: Callable[[bytes], None]
    mutate: Mutate | None = None
    cross: Cross | None = None
