"""What calls of the guest program do, in words: their numbers choose among what there is just then."""

from collections.abc import Callable
from typing import Any

from vgpu_emu.fuzz.actions import Call
from vgpu_emu.fuzz.guest import BLOB_FLAGS, Guest
from vgpu_emu.memory import PAGE_SIZE
from vgpu_wire.context_stream import ExporterKind


class Names:
    """What things of a guest program are called: by the calls that made them."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._names: dict[Any, str] = {}
        self._count = 0

    def tell(self, step: Call, carry_out: Callable[[], object]) -> str:
        """``mmap of blob2 as mmap3``: carry the call out, and say what it did; what is chosen is so before it."""
        try:
            words = SAID[step.name](self, *(step.numbers + (0,) * 6)[:6]) if step.name in SAID else step.name
        except LookupError as none:
            words = f"nothing: the program has no {none.args[0]}"
        before = self._things()
        carry_out()
        return " as ".join([words, *map(self._call, sorted(self._things() - before))])

    def _call(self, key: Any) -> str:
        self._count += 1
        self._names[key] = f"{key[0]}{self._count}"
        return self._names[key]

    def _things(self) -> set[Any]:
        return {_key(kind, thing) for kind in _KINDS for thing in getattr(self._guest, kind)}

    def of(self, kind: str, number: int) -> str:
        """The name of what the number chooses. Raises LookupError: there is none."""
        things = getattr(self._guest, kind)
        if not things:
            raise LookupError(_KINDS[kind])
        return self._names[_key(kind, things[number % len(things)])]


#: what a guest program has -> what one of these is called
_KINDS = {"files": "file", "objects": "bo", "vmas": "vma", "fences": "fence"}


def _key(kind: str, thing: Any) -> tuple[str, int, int]:
    """A buffer object is a file and a handle."""
    file, handle = thing if isinstance(thing, tuple) else (thing, 0)
    return _KINDS[kind], id(file), int(handle)


def _blob(names: Names, file: int, pages: int, exporter: int, flags: int, hints: int, size: int) -> str:
    short = ", memory 100 bytes shorter" if size % 2 else ""
    defer = ", mapped later" if hints % 4 == 1 else ""
    kind, use = ExporterKind(1 + exporter % 5).name.lower(), BLOB_FLAGS[flags % 6]
    return f"blob in {names.of('files', file)}: {_pages(1 + pages % 4)}, {kind}, blob_flags {use}{defer}{short}"


def _pages(number: int) -> str:
    return f"{number * PAGE_SIZE:#x} bytes"


def _mmap(names: Names, bo: int, pages: int, pgoff: int, *_numbers: int) -> str:
    part = f", {_pages(pages % 4)} at {pgoff % 3 * PAGE_SIZE:#x}" if pages % 4 else ""
    return f"mmap of {names.of('objects', bo)}{part}"


def _transfer(names: Names, bo: int, x: int, y: int, width: int, height: int, to_host: int) -> str:
    way = "to" if to_host % 3 else "from"
    box = f"{1 + width % 16}x{1 + height % 16} at ({x % 16}, {y % 16})"
    return f"transfer {way} host of {names.of('objects', bo)}, {box}"


def _execbuffer(names: Names, file: int, ring: int, microseconds: int, objects: int, *_numbers: int) -> str:
    return (
        f"execbuffer in {names.of('files', file)}: {1 + microseconds % 1000} us of work, "
        f"ring number {ring}, at most {objects % 3} of its buffers"
    )


def _file(words: Callable[..., str]) -> Callable[..., str]:
    return lambda names, file, *numbers: words(*numbers).format(names.of("files", file))


def _about(kind: str, words: str) -> Callable[..., str]:
    return lambda names, number, *_numbers: words.format(names.of(kind, number))


SAID: dict[str, Callable[..., str]] = {
    "open": lambda names, *_numbers: "open",
    "context_init": _file(lambda rings, *_: f"context init in {{}}, {rings % 66} rings"),
    "blob": _blob,
    "guest_blob": _file(lambda pages, *_: f"blob of guest memory in {{}}: {_pages(1 + pages % 3)}"),
    "dumb": _file(lambda width, height, *_: f"dumb buffer in {{}}: {16 + width % 17}x{16 + height % 17}"),
    "image": _file(lambda width, height, *_: f"image in {{}}: {1 + width % 32}x{1 + height % 32}"),
    "transfer": _transfer,
    "mmap": _mmap,
    "store": _about("vmas", "store 8 bytes through {}"),
    "load": _about("vmas", "load 8 bytes through {}"),
    "munmap": _about("vmas", "munmap of {}"),
    "close_handle": _about("objects", "close the handle of {}"),
    "close_file": _about("files", "close {}"),
    "execbuffer": _execbuffer,
    "wait": _about("objects", "wait for {}"),
}
