"""Defects that are planted into a target, to see whether an oracle finds them.

A defect is an object with any of five methods, each called with the live object when that is made; what it
returns takes the object's place. None of them is called for a target without the defect.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

T = TypeVar("T")
#: the seams, and what is handed over at each
SEAMS = {
    "renderer": "the host's Renderer: handle(data, now) and rings",
    "device": "the VMM's Device: handle(chain), signal(timeline, fence_id), reset() and negotiate(features)",
    "driver": "the guest's Driver: queue(request), complete(used) and take_available()",
    "link": "the Wire between guest and VMM: available(chain) and used(used), each a list of what arrives",
    "snapshot": "the bytes of a snapshot, when a VMM is stopped: what the next one reads",
}


class Wrapper:
    """Everything of `inner` that a subclass does not have itself, to read and to write."""

    def __init__(self, inner: Any) -> None:
        object.__setattr__(self, "inner", inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "inner"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        own = name in self.__dict__ or not hasattr(self.inner, name)
        if own:
            object.__setattr__(self, name, value)
        else:
            setattr(self.inner, name, value)


def plant(defects: Iterable[Any], seam: str, live: T) -> T:
    """What the defects make of a live object, one after the other."""
    for defect in defects:
        change = getattr(defect, seam, None)
        live = live if change is None else change(live)
    return live
