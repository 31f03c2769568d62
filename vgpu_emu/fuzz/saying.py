"""What calls of the guest program do, in words: their numbers choose among what there is just then."""

from collections.abc import Callable
from typing import Any

from vgpu_emu.fuzz import screens
from vgpu_emu.fuzz.actions import Call, one_of
from vgpu_emu.fuzz.calls import padded
from vgpu_emu.fuzz.guest import Guest
from vgpu_emu.fuzz.making import BLOB_FLAGS, unit
from vgpu_emu.fuzz.submitting import NAME_BYTES, polled_of, work_of
from vgpu_emu.memory import PAGE_SIZE
from vgpu_wire.context_stream import ExporterKind


class Names:
    """What things of a guest program are called: by the calls that made them."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self._names: dict[Any, str] = {}
        self._count = 0

    def tell(self, step: Call, carry_out: Callable[[], object]) -> str:
        """``mmap of blob2 as mmap3``: carry the call out, and say what it did; what is chosen is so before it."""
        try:
            words = SAID[step.name](self, *padded(step))
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
        return {_key(kind, thing) for kind in _KINDS for thing in getattr(self.guest, kind)}

    def of(self, kind: str, number: int) -> str:
        """The name of what the number chooses. Raises LookupError: there is none."""
        things = getattr(self.guest, kind)
        if not things:
            raise LookupError(_KINDS[kind])
        return self._names[_key(kind, things[number % len(things)])]


#: what a guest program has -> what one of these is called
_KINDS = {
    "files": "file",
    "fresh": "file",
    "objects": "bo",
    "vmas": "vma",
    "fences": "fence",
    "framebuffers": "fb",
    "dma_bufs": "dmabuf",
    "foreign": "foreign",
    "syncs": "sync",
}


def _key(kind: str, thing: Any) -> tuple[str, int, int]:
    """A buffer object is a file and a handle."""
    file, handle = thing if isinstance(thing, tuple) else (thing, 0)
    return _KINDS[kind], id(file), int(handle)


def _blob(names: Names, file: int, pages: int, exporter: int, flags: int, hints: int, size: int) -> str:
    short = ", memory 100 bytes shorter" if size % 2 else ""
    defer = ", mapped later" if hints % 4 == 1 else ""
    kind, use = ExporterKind(1 + exporter % 5).name.lower(), BLOB_FLAGS[flags % 6]
    length = f"{(1 + pages % 4) * unit(names.guest, pages):#x} bytes"
    return f"blob in {names.of('files', file)}: {length}, {kind}, blob_flags {use}{defer}{short}"


def _guest_blob(names: Names, file: int, pages: int) -> str:
    return f"blob of guest memory in {names.of('files', file)}: {(1 + pages % 3) * unit(names.guest, pages):#x} bytes"


def _context_init(names: Names, file: int, rings: int, capset: int, name: int, polled: int) -> str:
    owner, length = names.of("fresh" if names.guest.fresh else "files", file), NAME_BYTES[name % len(NAME_BYTES)]
    of = f", capset {one_of(names.guest.bench.world.setup.capsets, capset // 3)[0]}" if capset % 3 == 1 else ""
    told = f", poll mask {mask:#x}" if (mask := polled_of(polled, rings % 66)) else ""
    return f"context init in {owner}, {rings % 66} rings{told}{of}" + (f", a name of {length} bytes" if length else "")


def _screen(names: Names, file: int, width: int, height: int, _fourcc: int, cursor: int) -> str:
    size = screens.size_of(width, height, cursor)
    return f"dumb buffer in {names.of('files', file)}, and a framebuffer of it: {size[0]}x{size[1]}"


def _crtc(names: Names, _display: int, fb: int, _x: int, _y: int, _mode: int, off: int) -> str:
    return "set crtc: off" if off % 5 == 4 else f"set crtc: {names.of('framebuffers', fb)}"


def _cursor(names: Names, _display: int, fb: int, x: int, y: int, _hot: int, off: int) -> str:
    return "no cursor" if off % 4 == 3 else f"cursor {names.of('framebuffers', fb)} at ({x - 32}, {y - 32})"


def _pages(number: int) -> str:
    return f"{number * PAGE_SIZE:#x} bytes"


def _mmap(names: Names, bo: int, pages: int, pgoff: int) -> str:
    part = f", {_pages(pages % 4)} at {pgoff % 3 * PAGE_SIZE:#x}" if pages % 4 else ""
    return f"mmap of {names.of('objects', bo)}{part}"


def _transfer(names: Names, bo: int, x: int, y: int, width: int, height: int, to_host: int) -> str:
    way = "to" if to_host % 3 else "from"
    box = f"{1 + width % 16}x{1 + height % 16} at ({x % 16}, {y % 16})"
    return f"transfer {way} host of {names.of('objects', bo)}, {box}"


def _execbuffer(names: Names, file: int, ring: int, microseconds: int, objects: int) -> str:
    return (
        f"execbuffer in {names.of('files', file)}: {work_of(microseconds)} us of work, "
        f"ring number {ring}, at most {objects % 3} of its buffers"
    )


def _file(words: Callable[..., str]) -> Callable[..., str]:
    return lambda names, file, *numbers: words(*numbers).format(names.of("files", file))


def _about(kind: str, words: str) -> Callable[..., str]:
    return lambda names, number, *_numbers: words.format(names.of(kind, number))


SAID: dict[str, Callable[..., str]] = {
    "open": lambda _names: "open",
    "context_init": _context_init,
    "blob": _blob,
    "guest_blob": _guest_blob,
    "dumb": _file(lambda width, height: f"dumb buffer in {{}}: {16 + width % 17}x{16 + height % 17}"),
    "image": _file(lambda width, height: f"image in {{}}: {1 + width % 32}x{1 + height % 32}"),
    "transfer": _transfer,
    "mmap": _mmap,
    "store": _about("vmas", "store 8 bytes through {}"),
    "load": _about("vmas", "load 8 bytes through {}"),
    "munmap": _about("vmas", "munmap of {}"),
    "close_handle": _about("objects", "close the handle of {}"),
    "close_file": _about("files", "close {}"),
    "execbuffer": _execbuffer,
    "wait": _about("objects", "wait for {}"),
    "screen": _screen,
    "framebuffer": _about("objects", "framebuffer of {}"),
    "remove_framebuffer": _about("framebuffers", "remove {}"),
    "crtc": _crtc,
    "flip": lambda _names, _display, _fb, _event: "page flip",
    "dirty": _about("framebuffers", "damage of {}"),
    "cursor": _cursor,
    "move": lambda names, _display, x, y: f"move the cursor to ({x - 32}, {y - 32})",
    "export": _about("objects", "dma-buf of {}"),
    "take": lambda names, file, dmabuf: f"import {names.of('dma_bufs', dmabuf)} into {names.of('files', file)}",
    "close_dma_buf": _about("dma_bufs", "close {}"),
    "uuid": _about("dma_bufs", "UUID of {}"),
    "attach": _about("dma_bufs", "another device attaches to {}"),
    "foreign": _about("files", "import another driver's memory into {}"),
    "move_foreign": _about("foreign", "the other driver moves {}"),
    "share": lambda names, bo, file, _keep: f"share {names.of('objects', bo)} with {names.of('files', file)}",
    "map_again": _about("vmas", "mmap once more what {} maps"),
    "press": lambda _names, _pages: "others take every second page, or give them back",
    "probe": lambda _names: "probe",
    "hotplug": lambda _names: "the driver looks at the displays",
    "capset": _about("files", "get caps in {}"),
    "syncobj": _file(lambda signaled: "sync object in {}" + (", signalled" if signaled % 3 == 1 else "")),
    "destroy_syncobj": _about("syncs", "destroy {}"),
    "submit_after": lambda names, file, *_numbers: f"execbuffer behind others in {names.of('files', file)}",
    "wait_syncobj": _about("syncs", "wait for {}"),
    "event": _about("files", "read an event of {}"),
}
