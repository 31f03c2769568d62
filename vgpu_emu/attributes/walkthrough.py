"""A program of reads, writes and maintenance on the model, checked against what memory ought to hold, and its log.

walk = stage(platform("amd"), HostAttribute.WC, Pgprot.CACHED)
walk.write("guest", 0, b"vertices")
walk.fence("guest")
walk.read("gpu", 0, 8)      # eight zeros
walk.damage                 # one entry: stale, the bytes are in the guest's cache
"""

from collections import defaultdict
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from vgpu_emu.attributes.coherency import LINE, System
from vgpu_emu.attributes.derivation import Backing
from vgpu_emu.attributes.platform import Platform
from vgpu_emu.attributes.views import CachedView, View, lines_of, view_of
from vgpu_emu.vocabulary import HostAttribute, Pgprot
from vgpu_wire.dmabuf import DmaBufSyncFlag

#: memory as an observer of the model, in Damage and LineState
MEMORY = "memory"


class LineState(NamedTuple):
    """One line at one moment: what it ought to hold, and each copy: (where, state, bytes).

    state: ``memory``, ``dirty``, ``clean``, or ``combining``, whose bytes are those of the line once they have left.
    """

    line: int
    truth: bytes
    copies: tuple[tuple[str, str, bytes], ...]


class Damage(NamedTuple):
    """A read that did not get what was last written.

    kind: ``stale``: every byte that is wrong is right somewhere, in `where`; ``lost``: some are nowhere any more.
    """

    step: int
    who: str
    address: int
    expected: bytes
    got: bytes
    kind: str
    where: tuple[str, ...]


class Entry(NamedTuple):
    """One step of the log: what was done, the lines it touched as they were afterwards, and what went wrong."""

    step: int
    who: str
    action: str
    lines: tuple[LineState, ...]
    damage: Damage | None = None

    def __str__(self) -> str:
        if self.damage is None:
            return f"{self.step}. {self.who} {self.action}"
        where = f", right in {', '.join(self.damage.where)}" if self.damage.where else ""
        return f"{self.step}. {self.who} {self.action}: {self.damage.kind}{where}"


class Weather:
    """What a machine does with its lines unasked, before any step: evict, drain a buffer, prefetch.

    decide: asked for each line and each of these; by default a coin thrown from `seed`. Whatever it answers, a program
    whose attributes are right reads what was written.
    """

    def __init__(self, seed: int = 0, decide: Callable[[], bool] | None = None) -> None:
        coin = Random(seed)
        self.decide = decide or (lambda: coin.random() < 0.5)

    def strike(self, system: System, views: list[CachedView], lines: list[int]) -> None:
        """Let it happen to `lines`, those a program has touched. views: the mappings a CPU may prefetch through."""
        for cpu in system.cpus.values():
            for line in (*cpu.modified, *cpu.clean):
                if self.decide():
                    system.evict(cpu, line)
            for line in tuple(cpu.combining):
                if self.decide():
                    system.drain(cpu, line)
        for view in views:
            for line in lines:
                if self.decide():
                    view.prefetch(line)


class Walkthrough:
    """The parties of one buffer, each with its view; every step is logged, every read checked.

    maintains: whether the exporter's begin_cpu_access and end_cpu_access do cache maintenance (i915, udmabuf, the
    system and CMA heaps) or are missing, so that DMA_BUF_IOCTL_SYNC waits for fences and no more (virtio-gpu, msm,
    drivers with drm_gem_prime_dmabuf_ops).
    """

    def __init__(
        self, system: System, parties: dict[str, View], *, weather: Weather | None = None, maintains: bool = False
    ) -> None:
        self.system = system
        self.parties = parties
        self.maintains = maintains
        self.log: list[Entry] = []
        self.damage: list[Damage] = []
        self._weather = weather
        self._cached = [view for view in parties.values() if isinstance(view, CachedView)]
        self._truth: defaultdict[int, bytearray] = defaultdict(lambda: bytearray(LINE))

    def write(self, who: str, address: int, data: bytes) -> None:
        """`who` writes; from here on these are the bytes everybody ought to read."""
        self._weather_strikes()
        self.parties[who].write(address, data)
        truth = self._truth
        for place, byte in enumerate(data, address):
            truth[place // LINE][place % LINE] = byte
        self._enter(who, f"writes {len(data)} bytes at {address:#x}", address, len(data))

    def read(self, who: str, address: int, length: int) -> bytes:
        """`who` reads. Wrong bytes are returned as they are, and noted in `damage`."""
        self._weather_strikes()
        got = self.parties[who].read(address, length)
        expected = bytes(self._truth[place // LINE][place % LINE] for place in range(address, address + length))
        damage = self._judge(who, address, expected, got) if got != expected else None
        if damage is not None:
            self.damage.append(damage)
        self._enter(who, f"reads {length} bytes at {address:#x}", address, length, damage)
        return got

    def flush(self, who: str, address: int, length: int) -> None:
        """clflush or dc civac over a range."""
        self._weather_strikes()
        for line in lines_of(address, length):
            self.system.flush(line)
        self._enter(who, f"flushes {length} bytes at {address:#x}", address, length)

    def fence(self, who: str) -> None:
        """sfence or dsb, as ringing the device's doorbell implies: what `who` has combined leaves."""
        self._weather_strikes()
        cpu = self.system.cpu(who)
        lines = tuple(cpu.combining)
        self.system.fence(cpu)
        self._log(who, "fences", lines)

    def sync(self, who: str, flags: DmaBufSyncFlag, address: int, length: int) -> None:
        """DMA_BUF_IOCTL_SYNC over a buffer that holds this range.

        Where the exporter maintains: START with READ drops cached lines (dma_sync_sgtable_for_cpu), END writes dirty
        ones back (dma_sync_sgtable_for_device). That split is general knowledge; i915 flushes at both.
        """
        self._weather_strikes()
        end = DmaBufSyncFlag.END in flags
        if self.maintains and (end or DmaBufSyncFlag.READ in flags):
            operation = self.system.clean if end else self.system.invalidate
            for line in lines_of(address, length):
                operation(line)
        name = "END" if end else "START"
        does = "cache maintenance" if self.maintains else "waits for fences only"
        self._enter(who, f"DMA_BUF_IOCTL_SYNC {name} ({does})", address, length)

    def _weather_strikes(self) -> None:
        if self._weather is not None:
            self._weather.strike(self.system, self._cached, list(self._truth))

    def _enter(self, who: str, action: str, address: int, length: int, damage: Damage | None = None) -> None:
        self._log(who, action, tuple(lines_of(address, length)), damage)

    def _log(self, who: str, action: str, lines: tuple[int, ...], damage: Damage | None = None) -> None:
        states = tuple(self.state(line) for line in lines)
        self.log.append(Entry(len(self.log) + 1, who, action, states, damage))

    def state(self, line: int) -> LineState:
        """Where a line is now."""
        copies = [(MEMORY, MEMORY, bytes(self.system.memory[line]))]
        for cpu in self.system.cpus.values():
            for state, held in (("dirty", cpu.modified), ("clean", cpu.clean)):
                if line in held:
                    copies.append((cpu.name, state, bytes(held[line])))
            if line in cpu.combining:
                merged = bytearray(self.system.memory[line])
                for start, data in cpu.combining[line]:
                    merged[start : start + len(data)] = data
                copies.append((cpu.name, "combining", bytes(merged)))
        return LineState(line, bytes(self._truth[line]), tuple(copies))

    def _judge(self, who: str, address: int, expected: bytes, got: bytes) -> Damage:
        """Whether the right bytes are anywhere. A byte that is right by chance counts as right."""
        wrong = [address + i for i, (right, seen) in enumerate(zip(expected, got, strict=True)) if right != seen]
        where: dict[str, None] = {}
        lost = False
        for place in wrong:
            state = self.state(place // LINE)
            offset = place % LINE
            holders = [name for name, _, held in state.copies if held[offset] == state.truth[offset]]
            where.update(dict.fromkeys(holders))
            lost = lost or not holders
        kind = "lost" if lost else "stale"
        return Damage(len(self.log) + 1, who, address, expected, got, kind, tuple(where))


def stage(
    platform: Platform,
    host: HostAttribute,
    pgprot: Pgprot,
    *,
    backing: Backing = Backing.RAM,
    weather: Weather | None = None,
    maintains: bool = False,
) -> Walkthrough:
    """A buffer of an exporter, mapped into a guest: parties ``host`` (the exporter's CPU), ``gpu`` and ``guest``.

    Raises ValueError for an exporter that does not tell how it maps.
    """
    views = platform.host_views(host)
    if views is None:
        raise ValueError("an UNKNOWN exporter has no view of its buffer")
    system = System(platform.model.self_snoop)
    effective = {"host": views[0], "gpu": views[1], "guest": platform.derive(pgprot, backing=backing).effective}
    parties = {name: view_of(system, name, seen) for name, seen in effective.items()}
    return Walkthrough(system, parties, weather=weather, maintains=maintains)
