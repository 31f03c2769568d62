"""A program as the steps of a scenario: what each does on a clean machine, with names for numbers."""

from collections.abc import Callable
from typing import Any

import msgspec

from vgpu_emu.fuzz.actions import Break, Call, Elapse, Fail, Plug, Poke, Program, Reset, Restart, Schedule, Send, Step
from vgpu_emu.fuzz.core import Core
from vgpu_emu.fuzz.guest import BLOB_FLAGS, Guest
from vgpu_emu.memory import PAGE_SIZE
from vgpu_emu.scenario.wire import build, capacity_for
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.control import CtrlType
from vgpu_wire.device import CURSORQ
from vgpu_wire.errors import WireError
from vgpu_wire.layout import to_fields
from vgpu_wire.messages import MESSAGES

#: a table of a scenario file
Table = dict[str, Any]
#: room for an answer that says nothing: there is enough
_PLENTY = 2048
_CURSOR = {CtrlType.UPDATE_CURSOR.value, CtrlType.MOVE_CURSOR.value}


class UntoldError(ValueError):
    """There are no steps for what the program does."""


class Teller:
    """steps, faults: the tables of a file. core: the clean machine on which each step is carried out when it has been
    told, as the next one's numbers choose among what is there then."""

    def __init__(self, program: Program) -> None:
        self.core = Core(program.setup)
        self.steps: list[Table] = []
        self.faults: list[Table] = []
        self._names: dict[Any, str] = {}
        self._count = 0
        try:
            for step in program.steps:
                _TOLD[type(step)](self, step)
        finally:
            self.core.close()

    def name(self, thing: Any) -> str:
        """What a thing of the guest program is called. Raises UntoldError."""
        try:
            return self._names[_identity(thing)]
        except KeyError:
            raise UntoldError("a call that no step stands for has made it") from None

    def say(self, step: Step, *tables: Table) -> None:
        self.steps += tables
        self.core.do(step)

    def call(self, step: Call) -> None:
        guest, numbers = self.core.guest, (step.numbers + (0,) * 6)[:6]
        if step.name not in _CALLS:
            raise UntoldError(f"no step stands for {step.name}")
        tables = _CALLS[step.name](self, guest, *numbers)
        before = _things(guest)
        self.say(step, *tables)
        for identity in _things(guest) - before:
            self._count += 1
            self._names[identity] = f"{step.name.replace('guest_', '')}{self._count}"
            tables[-1]["as"] = self._names[identity]

    def send(self, step: Send) -> None:
        number = int.from_bytes(step.data[:4], "little")
        table: Table = {"do": "raw", **request(step.data)}
        if (step.queue == CURSORQ) != (number in _CURSOR):
            table["queue"] = "cursorq" if step.queue == CURSORQ else "controlq"
        if step.capacity not in (capacity_for(number), _PLENTY):
            table["capacity"] = step.capacity
        self.say(step, table)

    def poke(self, step: Poke) -> None:
        data = step.data[: max(self.core.world.setup.memory - step.address, 0)]
        self.say(step, *[{"do": "guest-write", "address": step.address, "bytes": data.hex()}] if data else [])

    def elapse(self, step: Elapse) -> None:
        self.say(step, {"do": "sleep", "seconds": step.microseconds / 1e6})

    def plug(self, step: Plug) -> None:
        scanout = step.scanout_id % len(self.core.world.scanouts)
        size = {"width": step.width, "height": step.height}
        plugged = {"do": "plug", "scanout": scanout, **size}
        self.say(step, plugged if step.width and step.height else {"do": "unplug", "scanout": scanout})

    def reset(self, step: Reset) -> None:
        self.say(step, *[] if self.core.guest.files else [{"do": "rebind"}])


def _things(guest: Guest) -> set[Any]:
    return {_identity(thing) for thing in (*guest.files, *guest.objects, *guest.vmas, *guest.fences)}


def _identity(thing: Any) -> Any:
    return (id(thing[0]), thing[1]) if isinstance(thing, tuple) else id(thing)


_TOLD: dict[type[Step], Callable[[Teller, Any], None]] = {
    Send: Teller.send,
    Poke: Teller.poke,
    Elapse: Teller.elapse,
    Plug: Teller.plug,
    Restart: lambda teller, step: teller.say(step, {"do": "restart-vmm"}),
    Reset: Teller.reset,
    # a host that fails at the next question has no step; the order of tasks is --seed
    Fail: lambda teller, step: teller.say(step),
    Schedule: lambda teller, step: teller.say(step),
    Call: Teller.call,
    Break: lambda teller, step: teller.faults.append(msgspec.to_builtins(step.fault)),
}

# -- requests


def request(data: bytes) -> Table:
    """Members by their names, where these say it all; else the bytes."""
    number = int.from_bytes(data[:4], "little")
    if number in MESSAGES and number in {kind.value for kind in CtrlType}:
        try:
            fields = _fields(MESSAGES[number].parse(data))
            if build(CtrlType(number).name, fields) == data:
                return {"message": CtrlType(number).name, **({"fields": fields} if fields else {})}
        except (WireError, ValueError, TypeError, UnicodeDecodeError):
            pass
    return {"bytes": data.hex()}


def _fields(record: Any) -> Table:
    said = _said(to_fields(record))
    header = {f"hdr.{name}": value for name, value in said.pop("hdr", {}).items() if name != "type"}
    return {**header, **{name: value for name, value in said.items() if name != "type"}}


def _said(value: Any) -> Any:
    """Without what is zero; fixed bytes as text."""
    if isinstance(value, dict):
        return {name: _said(each) for name, each in value.items() if not _is_nothing(each)}
    if isinstance(value, list | tuple):
        return [_said(each) for each in value]
    if isinstance(value, bytes):
        text = value.rstrip(b"\0")
        return text.decode() if len(value) == 64 else value.hex()
    return value


def _is_nothing(value: Any) -> bool:
    return not any(value) if isinstance(value, bytes) else value in (0, (), [], {})


# -- calls: what there is, and numbers -> steps


def _of(things: list[Any], number: int) -> Any:
    return things[number % len(things)]


def _blob(teller: Teller, guest: Guest, *n: int) -> list[Table]:
    if not guest.files:
        return []
    size, file = (1 + n[1] % 4) * PAGE_SIZE, teller.name(_of(guest.files, n[0]))
    exporter = ExporterKind(1 + n[2] % 5).name.lower()
    flags = BLOB_FLAGS[n[3] % 6]
    blob: Table = {"do": "create-blob", "file": file, "size": size, **({} if flags == 1 else {"flags": flags})}
    if n[4] % 4 == 1:
        blob["defer"] = True
    if not n[5] % 2:
        return [{**blob, "exporter": exporter}]
    short = f"memory{len(teller.steps)}"
    return [
        {"do": "alloc", "file": file, "exporter": exporter, "size": size - 100, "as": short},
        {**blob, "of": short},
    ]


def _guest_blob(teller: Teller, guest: Guest, *n: int) -> list[Table]:
    if not guest.files:
        return []
    size = (1 + n[1] % 3) * PAGE_SIZE
    return [{"do": "create-blob", "file": teller.name(_of(guest.files, n[0])), "size": size, "mem": 1, "flags": 1}]


def _dumb(teller: Teller, guest: Guest, *n: int) -> list[Table]:
    if not guest.files:
        return []
    size = {"width": 16 + n[1] % 17, "height": 16 + n[2] % 17}
    return [{"do": "create-dumb", "file": teller.name(_of(guest.files, n[0])), **size}]


def _context_init(teller: Teller, guest: Guest, *n: int) -> list[Table]:
    files = guest.files
    return [{"do": "context-init", "file": teller.name(_of(files, n[0])), "rings": n[1] % 66}] if files else []


def _mmap(teller: Teller, guest: Guest, *n: int) -> list[Table]:
    if not guest.objects:
        return []
    pages = n[1] % 4
    part = {"length": pages * PAGE_SIZE, "at": n[2] % 3 * PAGE_SIZE} if pages else {}
    return [{"do": "mmap", "of": teller.name(_of(guest.objects, n[0])), **part}]


def _store(teller: Teller, guest: Guest, *n: int) -> list[Table]:
    if not guest.vmas:
        return []
    vma = _of(guest.vmas, n[0])
    at = n[1] * 97 % max(vma.length - 8, 1)
    return [{"do": "write", "of": teller.name(vma), "at": at, "bytes": bytes([n[2] % 251, at % 256] * 4).hex()}]


def _load(teller: Teller, guest: Guest, *n: int) -> list[Table]:
    if not guest.vmas:
        return []
    vma = _of(guest.vmas, n[0])
    at = n[1] * 97 % max(vma.length - 8, 1)
    return [
        {"do": "read", "of": teller.name(vma), "at": at, "length": 8, "expect": {"bytes": bytes(vma.read(at, 8)).hex()}}
    ]


def _execbuffer(teller: Teller, guest: Guest, *n: int) -> list[Table]:
    if not guest.files:
        return []
    owner = _of(guest.files, n[0])
    objects = [teller.name(each) for each in guest.objects if each[0] is owner][: n[3] % 3]
    table: Table = {"do": "execbuffer", "file": teller.name(owner), "work": (1 + n[2] % 1000) / 1e6}
    if owner.num_rings and n[1] % 3:
        table["ring"] = n[1] % owner.num_rings
    return [{**table, **({"objects": objects} if objects else {})}]


def _on(do: str, kind: str) -> Callable[..., list[Table]]:
    """A step that is about one thing."""

    def tell(teller: Teller, guest: Guest, number: int, *_numbers: int) -> list[Table]:
        things = getattr(guest, kind)
        return [{"do": do, "of": teller.name(_of(things, number))}] if things else []

    return tell


_CALLS: dict[str, Callable[..., list[Table]]] = {
    "open": lambda _teller, guest, *_numbers: [{"do": "open"}] if len(guest.files) < 3 else [],
    "context_init": _context_init,
    "blob": _blob,
    "guest_blob": _guest_blob,
    "dumb": _dumb,
    "mmap": _mmap,
    "store": _store,
    "load": _load,
    "munmap": _on("munmap", "vmas"),
    "close_handle": _on("gem-close", "objects"),
    "close_file": _on("close", "files"),
    "execbuffer": _execbuffer,
    "wait": _on("wait", "objects"),
}
