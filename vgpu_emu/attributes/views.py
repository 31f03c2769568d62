"""How one party sees memory through one mapping: cached, combining, or straight to memory.

Addresses are bytes; an access may span lines.
"""

from collections.abc import Iterator
from typing import Protocol

from vgpu_emu.attributes.coherency import COMBINING_LINES, LINE, Cpu, System
from vgpu_emu.attributes.derivation import Effective, Kind

_SHIFT = LINE.bit_length() - 1
_MASK = LINE - 1


class View(Protocol):
    """A party's way to memory."""

    def read(self, address: int, length: int) -> bytes: ...
    def write(self, address: int, data: bytes) -> None: ...


def view_of(system: System, name: str, effective: Effective) -> View:
    """What `name` has of memory through a mapping of that type. One CPU may have several views; a device is no CPU."""
    match effective.kind:
        case Kind.CACHED:
            return CachedView(system, system.cpu(name))
        case Kind.COMBINING:
            return CombiningView(system, system.self_snoop, system.cpu(name))
        case Kind.UNCACHED:
            # x86: an access that the page tables make UC checks the caches (SDM vol 3, 11.5.2.2, note 2 of the table)
            return DirectView(system, system.self_snoop or effective is Effective.UC, system.cpu(name))
        case Kind.SNOOPING | Kind.BYPASSING:
            return DirectView(system, effective.kind is Kind.SNOOPING, Cpu(name))


def lines_of(address: int, length: int) -> range:
    """The numbers of the lines that hold these bytes."""
    return range(address >> _SHIFT, (address + length + _MASK) >> _SHIFT)


def _pieces(address: int, length: int) -> Iterator[tuple[int, int]]:
    """An access that spans lines as (address, length) within one line each."""
    end = address + length
    while address < end:
        size = min(LINE - (address & _MASK), end - address)
        yield address, size
        address += size


class CachedView:
    """WB, Normal-WB, PMA: bytes stay in the cache, which agrees with the other CPUs' caches and with nobody else."""

    __slots__ = ("clean", "cpu", "memory", "modified", "owners", "system")

    def __init__(self, system: System, cpu: Cpu) -> None:
        self.system = system
        self.cpu = cpu
        self.memory = system.memory
        self.modified = cpu.modified
        self.clean = cpu.clean
        self.owners = system.owners

    def read(self, address: int, length: int) -> bytes:
        line = address >> _SHIFT
        start = address & _MASK
        end = start + length
        if end > LINE:
            return b"".join(self.read(*piece) for piece in _pieces(address, length))
        held = self.clean.get(line) or self.modified.get(line)
        if held is None:
            held = self.clean[line] = self._fetch(line)
        return held[start:end]

    def write(self, address: int, data: bytes) -> None:
        line = address >> _SHIFT
        start = address & _MASK
        end = start + len(data)
        if end > LINE:
            for place, size in _pieces(address, len(data)):
                self.write(place, data[place - address : place - address + size])
            return
        held = self.modified.get(line) or self._own(line)
        self.modified[line] = held[:start] + data + held[end:]

    def prefetch(self, line: int) -> None:
        """Take a line into the cache, as a read does, and as a CPU may by itself wherever a page is cacheable."""
        if line not in self.modified and line not in self.clean:
            self.clean[line] = self._fetch(line)

    def _fetch(self, line: int) -> bytes:
        """The line's bytes, after what another cache holds of them."""
        if line in self.owners:
            self.system.clean(line)
        self.system.transfers += 1
        return self.memory[line]

    def _own(self, line: int) -> bytes:
        """The line, dirty from now on and in no other cache."""
        system = self.system
        held = self.clean.get(line)
        system.flush(line)
        if held is None:
            system.transfers += 1
            held = self.memory[line]
        self.owners[line] = self.cpu
        return held


class DirectView:
    """UC, Device, IO, and every device: each access goes to memory, after what its own CPU has combined.

    snoops: it looks into the caches first. A device's `cpu` is a mere name: it has no cache in this model.
    """

    __slots__ = ("combining", "cpu", "memory", "owners", "snoops", "system")

    def __init__(self, system: System, snoops: bool, cpu: Cpu) -> None:
        self.system = system
        self.snoops = snoops
        self.cpu = cpu
        self.memory = system.memory
        self.combining = cpu.combining
        self.owners = system.owners

    def read(self, address: int, length: int) -> bytes:
        line = address >> _SHIFT
        start = address & _MASK
        end = start + length
        if end > LINE:
            return b"".join(self.read(*piece) for piece in _pieces(address, length))
        if self.combining:
            self._settle(line)
        if self.snoops and line in self.owners:
            self.system.clean(line)
        self.system.transfers += 1
        return self.memory[line][start:end]

    def write(self, address: int, data: bytes) -> None:
        line = address >> _SHIFT
        start = address & _MASK
        end = start + len(data)
        if end > LINE:
            for place, size in _pieces(address, len(data)):
                self.write(place, data[place - address : place - address + size])
            return
        if self.combining:
            self._settle(line)
        if self.snoops:
            self.system.flush(line)
        self.system.transfers += 1
        held = self.memory[line]
        self.memory[line] = held[:start] + data + held[end:]

    def _settle(self, line: int) -> None:
        """An uncached access drains all of its CPU's buffers (SDM vol 3, 11.3.1)."""
        self.system.fence(self.cpu)


class CombiningView(DirectView):
    """WC, Normal-NC, NC: writes gather by line; they leave at a fence, for want of a buffer, or before a read."""

    __slots__ = ()

    def write(self, address: int, data: bytes) -> None:
        line = address >> _SHIFT
        start = address & _MASK
        if start + len(data) > LINE:
            for place, size in _pieces(address, len(data)):
                self.write(place, data[place - address : place - address + size])
            return
        gathered = self.combining.get(line)
        if gathered is not None:
            gathered.append((start, bytes(data)))
            return
        if len(self.combining) == COMBINING_LINES:
            self.system.drain(self.cpu, next(iter(self.combining)))
        self.combining[line] = [(start, bytes(data))]

    def _settle(self, line: int) -> None:
        self.system.drain(self.cpu, line)
