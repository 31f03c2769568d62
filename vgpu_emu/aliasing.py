"""The alias checker on a running machine: who maps which buffer, told as it happens.

It looks on from outside: a kernel and a host visible region that tell what was done with them, and a listener to the
guest's notes. What crosses the links is the same with it and without; where no platform is chosen there is none of it.
"""

from collections.abc import Callable

import msgspec

from vgpu_emu.attributes.aliases import AliasChecker, Conflict, Mapping, Role
from vgpu_emu.attributes.derivation import Effective
from vgpu_emu.attributes.platform import Platform
from vgpu_emu.host.dmabuf import DmaBuf, DmaBufOps, Kernel
from vgpu_emu.ids import ResourceId
from vgpu_emu.link.region import HostVisibleRegion, Slot
from vgpu_emu.memory import Memory
from vgpu_emu.trace.log import GUEST, HOST, VMM, Log, Note
from vgpu_emu.vocabulary import Dialect, Pgprot

#: a part of a buffer: its first byte, and how many
_Part = tuple[int, int]


class _Buffer(msgspec.Struct, frozen=True, eq=False):
    """A live dma-buf. cpu: the type of its exporter's CPU mappings; None: it does not tell. own: its and its GPU's."""

    name: str
    cpu: Effective | None
    own: list[Mapping]


class _Slot(msgspec.Struct, frozen=True, eq=False):
    """A buffer in the region. memslot: the VMM's mapping; guests: those of guest users, who look through it."""

    buffer: _Buffer
    memslot: list[Mapping]
    guests: dict[_Part, list[Mapping]]


class AliasWatch:
    """Tells the alias checker of every mapping. conflicts: all that arose so far, in order; the log has them too."""

    def __init__(self, platform: Platform, log: Log, vmm: str) -> None:
        self.platform = platform
        self.checker = AliasChecker(platform)
        self.conflicts: list[Conflict] = []
        self._log = log
        self._vmm = vmm
        self._guest_types = {pgprot: platform.derive(pgprot).effective for pgprot in Pgprot}
        #: by the identity of its memory
        self._buffers: dict[tuple[int, int], _Buffer] = {}
        self._slots: dict[int, _Slot] = {}

    def kernel(self, dialect: Dialect | None, *, max_fds: int) -> "WatchedKernel":
        """A host kernel that tells of its dma-bufs here."""
        return WatchedKernel(self, dialect, max_fds=max_fds)

    def exported(self, inode: int, ops: DmaBufOps, size: int, identity: tuple[int, int]) -> None:
        """A driver has a new buffer of `size` bytes, which it maps, and so does its GPU."""
        views = self.platform.host_views(ops.attribute) or ()
        buffer = _Buffer(f"dma-buf {inode}", views[0] if views else None, [])
        for role, effective in zip((Role.EXPORTER, Role.GPU), views, strict=False):
            buffer.own.append(self._map(HOST, "export", buffer, (0, size), effective, role, ops.name))
        self._buffers[identity] = buffer

    def released(self, identity: tuple[int, int]) -> None:
        for mapping in self._buffers.pop(identity).own:
            self.checker.unmap(mapping)

    def slot_mapped(self, shown: Slot) -> None:
        """The VMM's mmap of a dma-buf has the page protection that the exporter's mmap gives it: the exporter's own."""
        buffer = self._buffers.get(shown.memory.identity)
        if buffer is None:
            return
        slot = self._slots[shown.offset] = _Slot(buffer, [], {})
        if buffer.cpu is not None:
            step = "RESOURCE_MAP_BLOB"
            slot.memslot.append(
                self._map(VMM, step, buffer, (shown.start, shown.length), buffer.cpu, Role.VMM, self._vmm)
            )

    def slot_unmapped(self, offset: int) -> None:
        """What guest users mapped there is gone too: a page table entry over nothing reaches no page."""
        slot = self._slots.pop(offset, None)
        if slot is not None:
            for mappings in (slot.memslot, *slot.guests.values()):
                for mapping in mappings:
                    self.checker.unmap(mapping)

    def follow(self, place: Callable[[ResourceId], tuple[int, int] | None]) -> None:
        """Listen to the guest's notes. place: where in the region the device has mapped a blob, and its bytes."""

        def listen(note: Note) -> None:
            heard = {"pgprot": self._guest_mapped, "munmap": self._guest_unmapped}.get(note.name)
            if heard is not None:
                there = place(note.values["resource_id"])
                if there is not None and there[0] in self._slots:
                    offset, length = there
                    part = note.values.get("pgoff", 0), note.values.get("length", length)
                    heard(note, self._slots[offset], part)

        self._log.listeners.append(listen)

    def _guest_mapped(self, note: Note, slot: _Slot, part: _Part) -> None:
        effective = self._guest_types[Pgprot(note.values["pgprot"])]
        who = f"resource {note.values['resource_id']}"
        mapping = self._map(GUEST, "mmap", slot.buffer, part, effective, Role.GUEST_USER, who)
        slot.guests.setdefault(part, []).append(mapping)

    def _guest_unmapped(self, _note: Note, slot: _Slot, part: _Part) -> None:
        if slot.guests.get(part):
            self.checker.unmap(slot.guests[part].pop())

    def _map(
        self, party: str, does: str, buffer: _Buffer, part: _Part, effective: Effective, role: Role, who: str
    ) -> Mapping:
        """A mapping is a step of the run: its number is that of its note in the log."""
        offset, length = part
        self._log.note(party, "maps", buffer=buffer.name, bytes=length, effective=effective.value, role=role.value)
        step = f"{len(self._log.events)}: {does}"
        mapping = Mapping(buffer.name, offset, length, effective, role, who, step)
        for conflict in self.checker.map(mapping):
            self.conflicts.append(conflict)
            self._log.note("machine", "alias", conflict=str(conflict))
        return mapping


class WatchedKernel(Kernel):
    """A host kernel whose dma-bufs are watched."""

    def __init__(self, watch: AliasWatch, dialect: Dialect | None, *, max_fds: int) -> None:
        super().__init__(dialect, max_fds=max_fds)
        self._watch = watch

    def dma_buf_export(self, memory: Memory, ops: DmaBufOps) -> DmaBuf:
        buf = super().dma_buf_export(memory, ops)
        self._watch.exported(buf.inode, ops, memory.size, memory.identity)
        return buf

    def put(self, buf: DmaBuf) -> None:
        # the last reference closes the memory
        identity = buf.memory.identity
        super().put(buf)
        if not buf.refs:
            self._watch.released(identity)


class WatchedRegion(HostVisibleRegion):
    """A host visible region whose slots are watched."""

    def __init__(self, watch: AliasWatch, size: int) -> None:
        super().__init__(size, watch.platform.host_page)
        self._watch = watch

    def _add(self, slot: Slot) -> None:
        super()._add(slot)
        self._watch.slot_mapped(slot)

    def _drop(self, slot: Slot) -> None:
        super()._drop(slot)
        self._watch.slot_unmapped(slot.offset)
