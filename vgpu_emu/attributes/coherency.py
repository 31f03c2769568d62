"""What a memory type does to bytes: the machine. Caches, write-combining buffers, and the operations that move lines.

A model, small and deterministic. Each CPU has a cache of 64-byte lines, and all caches are coherent with each other, as
those of one machine are. An access of another type than cached does not look into them, unless it is x86's UC or the
machine snoops itself; a device looks or does not. That is all it takes to lose a byte. What is left out: time, store
buffers, cache levels, and faults (a machine check, an unaligned access to Device memory).

Lines move only when somebody moves them. `evict`, `drain` and views.CachedView.prefetch are what a real machine may do
by itself at any moment; walkthrough.Weather does them at random, from a seed.
"""

LINE = 64
#: lines a CPU's combining buffers hold before the oldest must leave (ten to twelve on x86; general knowledge)
COMBINING_LINES = 10
_ZEROS = bytes(LINE)


class Cpu:
    """One CPU: its cache, and its write-combining buffers.

    modified: dirty lines, which no other CPU holds; System.owners lists them too. clean: lines as memory had them when
    they were read. combining: bytes on their way out, by line, in the order of the writes.
    """

    __slots__ = ("clean", "combining", "modified", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.modified: dict[int, bytes] = {}
        self.clean: dict[int, bytes] = {}
        self.combining: dict[int, list[tuple[int, bytes]]] = {}

    def __repr__(self) -> str:
        return (
            f"<Cpu {self.name}: {len(self.modified)} dirty, {len(self.clean)} clean, {len(self.combining)} combining>"
        )


class Memory(dict[int, bytes]):
    """Line number -> its 64 bytes; zeros until written. No line is changed in place: caches hold the same object."""

    def __missing__(self, line: int) -> bytes:
        self[line] = _ZEROS
        return _ZEROS


class System:
    """Memory, and the CPUs around it.

    self_snoop: accesses of every type look into the caches. transfers: how often a line, or a part of one, crossed the
    bus: the model's only measure of cost.
    """

    def __init__(self, self_snoop: bool = False) -> None:
        self.self_snoop = self_snoop
        self.memory = Memory()
        self.cpus: dict[str, Cpu] = {}
        #: dirty line -> the one CPU that has it
        self.owners: dict[int, Cpu] = {}
        self.transfers = 0
        #: every CPU's clean lines, for the loops that a miss goes through
        self._clean: list[dict[int, bytes]] = []

    def cpu(self, name: str) -> Cpu:
        """The CPU of that name, made when first asked for."""
        found = self.cpus.get(name)
        if found is None:
            found = self.cpus[name] = Cpu(name)
            self._clean.append(found.clean)
        return found

    def evict(self, cpu: Cpu, line: int) -> None:
        """A cache gives up a line; if dirty, all 64 bytes of it are written back."""
        if self.owners.get(line) is cpu:
            self.flush(line)
        else:
            cpu.clean.pop(line, None)

    def flush(self, line: int) -> None:
        """clflush, dc civac, cbo.flush: write back and drop, in every cache, whatever mapping it was asked through."""
        owner = self.owners.pop(line, None)
        if owner is None:
            for clean in self._clean:
                if line in clean:
                    del clean[line]
        else:
            self.memory[line] = owner.modified.pop(line)
            self.transfers += 1

    def clean(self, line: int) -> None:
        """clwb, dc cvac, cbo.clean: write back and keep."""
        owner = self.owners.pop(line, None)
        if owner is not None:
            self.memory[line] = owner.clean[line] = owner.modified.pop(line)
            self.transfers += 1

    def invalidate(self, line: int) -> None:
        """dc ivac, cbo.inval: drop, and with it what was dirty."""
        owner = self.owners.pop(line, None)
        if owner is not None:
            del owner.modified[line]
        for clean in self._clean:
            clean.pop(line, None)

    def drain(self, cpu: Cpu, line: int) -> None:
        """A combining buffer leaves. Where a cache holds the line and nobody looks, cache and memory now differ."""
        writes = cpu.combining.pop(line, None)
        if writes is None:
            return
        if self.self_snoop:
            self.flush(line)
        held = bytearray(self.memory[line])
        for start, data in writes:
            held[start : start + len(data)] = data
        self.memory[line] = bytes(held)
        self.transfers += 1

    def fence(self, cpu: Cpu) -> None:
        """sfence, dsb: every combining buffer leaves. The write that rings a doorbell does as much on x86."""
        for line in tuple(cpu.combining):
            self.drain(cpu, line)
