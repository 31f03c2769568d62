"""The calls of a guest program, by their names: what each needs, and which numbers it takes.

The order is that of their bytes: what is new stands behind all others.
"""

from collections.abc import Callable

from vgpu_emu.fuzz import asking, idling, making, mapping, screens, sharing, submitting, syncing
from vgpu_emu.fuzz.actions import Call
from vgpu_emu.fuzz.guest import Guest
from vgpu_emu.guest.waiting import Op

CALLS: dict[str, Callable[..., Op[None] | None]] = {
    "open": making.open,
    "context_init": submitting.context_init,
    "blob": making.blob,
    "guest_blob": making.guest_blob,
    "dumb": making.dumb,
    "mmap": mapping.mmap,
    "store": mapping.store,
    "load": mapping.load,
    "munmap": mapping.munmap,
    "close_handle": making.close_handle,
    "close_file": making.close_file,
    "execbuffer": submitting.execbuffer,
    "wait": idling.wait,
    "image": making.image,
    "transfer": submitting.transfer,
    **screens.CALLS,
    **sharing.CALLS,
    **asking.CALLS,
    **syncing.CALLS,
}
#: the numbers that a call takes, by their names
NUMBERS = {name: call.__code__.co_varnames[1 : call.__code__.co_argcount] for name, call in CALLS.items()}


def padded(step: Call) -> tuple[int, ...]:
    """The numbers that the call takes: 0 where the step has none."""
    count = len(NUMBERS[step.name])
    return (step.numbers + (0,) * count)[:count]


#: what a call needs at least one of
NEEDS: dict[str, str] = {
    **dict.fromkeys(("blob", "guest_blob", "dumb", "image", "execbuffer", "close_file"), "files"),
    **dict.fromkeys(("mmap", "close_handle", "wait", "transfer"), "objects"),
    **dict.fromkeys(("store", "load", "munmap"), "vmas"),
    "context_init": "fresh",
    **screens.NEEDS,
    **sharing.NEEDS,
    **asking.NEEDS,
    **syncing.NEEDS,
}


def op_of(guest: Guest, step: Call) -> Op[None]:
    """What carries one out. Raises OSError for what the kernel refuses, Finding for what no kernel does."""
    guest.promises.clear()
    op = CALLS[step.name](guest, *padded(step))
    if op is not None:
        yield from op
