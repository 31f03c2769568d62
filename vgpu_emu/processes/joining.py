"""VMM and host in processes of their own, made to one configuration, with a guest in this one.

The links between the parties pass through this process, as bytes and descriptors that it carries from one to the other:
so whatever looks at or changes what crosses a link (log, faults, the order of tasks) is the same as in one process, and
so is the run.
"""

import os
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast

import msgspec
from msgspec.structs import asdict, replace

from vgpu_emu.assembly import (
    Config,
    HostParts,
    Parts,
    driver_for,
    host_setup,
    note_assembled,
    region_of,
    size_only,
    vmm_setup,
)
from vgpu_emu.host.exporters import OPS
from vgpu_emu.link.chain import Used
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.region import HostVisibleRegion, Slot
from vgpu_emu.memory import PAGE_SIZE, Memory, let_go
from vgpu_emu.processes import host_calls, vmm_calls
from vgpu_emu.processes.messages import Exported, Hidden, Noted, Released, Seen, Shown
from vgpu_emu.processes.party import Party, interpreter
from vgpu_emu.processes.remote_host import RemoteRenderer
from vgpu_emu.processes.remote_vmm import RemoteDevice
from vgpu_emu.trace.log import GUEST, HOST, VMM, Log
from vgpu_emu.vmm.asking import Steps
from vgpu_emu.vmm.catalogue import ProfileError, find_profile
from vgpu_emu.vmm.picture import Picture
from vgpu_emu.vmm.state import place_of

if TYPE_CHECKING:
    from vgpu_emu.aliasing import AliasWatch


class Processes(msgspec.Struct, frozen=True, kw_only=True):
    """How the parties' processes are run.

    deadline: seconds until a party that does not answer is taken for lost. start: until it must have started.
    vmm, host: their commands, to which the number of a socket is added.
    """

    deadline: float = 2.0
    start: float = 30.0
    vmm: tuple[str, ...] = tuple(interpreter("vmm"))
    host: tuple[str, ...] = tuple(interpreter("host"))


class NotSendableError(ValueError):
    """Something that a machine in one process can have, and one in several cannot."""


class ProcessParts(Parts, frozen=True, kw_only=True):
    """device, renderer, kernel: those of the processes, as far as a machine and its observers use them. region, memory:
    the same pages as there, mapped here too.

    remote_vmm, remote_host: device and renderer once more, as what they are. ram: guest memory, if there is any.
    ends: what the parties said was left when they ended.
    """

    remote_vmm: RemoteDevice
    remote_host: RemoteRenderer
    processes: Processes
    ram: Memory | None
    ends: list[str]

    @property
    def vmm(self) -> Party:
        return self.remote_vmm.party

    @property
    def host(self) -> Party:
        return self.remote_host.party

    @property
    def pids(self) -> dict[str, int]:
        return {GUEST: os.getpid(), VMM: self.vmm.pid, HOST: self.host.pid}

    def snapshot(self) -> bytes:
        return self.remote_vmm.snapshot()

    def restore(self, data: bytes) -> Steps[list[Used]]:
        return self.remote_vmm.restore(data)

    def restarted(self) -> Self:
        """Another process, with the guest memory of the one that has ended."""
        self.remote_vmm.call(vmm_calls.Exit())
        self.vmm.close()
        self.remote_host.call(host_calls.VmmExit())
        tell = partial(_tell, self.log, self.region, self.aliases)
        party = Party(VMM, self.processes.vmm, vmm_calls.VmmResult, self.processes.deadline, self.processes.start)
        device = RemoteDevice(party, self.log, tell)
        joined = replace(self, device=device, remote_vmm=device)
        with ExitStack() as undo:
            undo.callback(party.close)
            device.call(_vmm_of(self.config, self.device.needs_reset), _fds(self.ram))
            party.started()
            if self.aliases is not None:
                self.aliases.follow(lambda resource_id: place_of(device.resources, resource_id))
            undo.pop_all()
        return joined

    def screen(self, scanout_id: int) -> Picture | None:
        return self.remote_vmm.screen(scanout_id)

    def close(self) -> None:
        """The end of all processes but this one; nothing stays mapped here, no descriptor open."""
        self.ends.extend(self.vmm.end(vmm_calls.Exit()) + self.host.end(host_calls.Exit()))
        self.region.clear()
        let_go(self.remote_host.borrowed)
        if self.ram is not None:
            self.memory.remove(0, self.ram.size)
            self.ram.release()

    def leaks(self) -> list[str]:
        if self.vmm.closed:
            return self.ends + [f"mapping at {slot.offset:#x} ({slot.memory!r})" for slot in self.region]
        left = [*self.remote_host.call(host_calls.Left())[0], *self.remote_vmm.call(vmm_calls.Left())]
        return [str(sentence) for sentence in left]


def join(config: Config, log: Log, processes: Processes) -> ProcessParts:
    """Start them, and give each its part of the configuration.

    Raises NotSendableError for what cannot be sent to another process; PartyLostError; and as `assemble` does.
    """
    _require_sendable(config)
    region, aliases = region_of(config, log)
    tell = partial(_tell, log, region, aliases)
    ram = Memory.memfd(config.guest_memory, "guest memory") if config.guest_memory else None
    with ExitStack() as undo:
        if ram is not None:
            undo.callback(ram.release)
        vmm = undo.enter_context(
            closing(Party(VMM, processes.vmm, vmm_calls.VmmResult, processes.deadline, processes.start))
        )
        host = undo.enter_context(
            closing(Party(HOST, processes.host, host_calls.HostResult, processes.deadline, processes.start))
        )
        note_assembled(config, log, pids={GUEST: os.getpid(), VMM: vmm.pid, HOST: host.pid})
        device, renderer = RemoteDevice(vmm, log, tell), RemoteRenderer(host, tell)
        device.call(_vmm_of(config), _fds(ram))
        renderer.call(host_calls.Assemble(host_setup(config), aliases is not None, config.backing == size_only))
        for party in (vmm, host):
            party.started()
        if aliases is not None:
            aliases.follow(lambda resource_id: place_of(device.resources, resource_id))
        memory = GuestMemory(sparse=config.sparse_memory)
        parts = HostParts(
            # who is on the other side of a process has the interface of what is there, as far as a machine uses it
            kernel=cast(Any, renderer.kernel),
            renderer=cast(Any, renderer),
            device=cast(Any, device),
            region=region,
            memory=memory,
            log=log,
            config=config,
            aliases=aliases,
        )
        if ram is not None:
            memory.add(0, ram.map())
            undo.callback(memory.remove, 0, ram.size)
        joined = ProcessParts(
            driver=driver_for(parts),
            remote_vmm=device,
            remote_host=renderer,
            processes=processes,
            ram=ram,
            ends=[],
            **asdict(parts),
        )
        undo.pop_all()
    return joined


def _require_sendable(config: Config) -> None:
    if config.backing not in (Memory.memfd, size_only):
        raise NotSendableError("a backing of one's own cannot be sent to the host's process")
    name = config.profile.name
    with suppress(ProfileError):
        if find_profile(name) == config.profile:
            return
    raise NotSendableError(f"profile {name!r} cannot be sent to the VMM's process, which would find another one")


def _fds(ram: Memory | None) -> list[int]:
    return [ram.fileno] if ram is not None and ram.fileno is not None else []


def _vmm_of(config: Config, needs_reset: str | None = None) -> vmm_calls.Assemble:
    return vmm_calls.Assemble(
        profile=config.profile.name,
        setup=vmm_setup(config),
        host_visible=config.host_visible,
        host_page=PAGE_SIZE if config.platform is None else config.platform.host_page,
        guest_memory=config.guest_memory,
        sparse_memory=config.sparse_memory,
        needs_reset=needs_reset,
    )


def _tell(log: Log, region: HostVisibleRegion, aliases: "AliasWatch | None", seen: Seen, memory: Memory | None) -> None:
    """What happened in another process happens here too."""
    match seen:
        case Noted():
            log.note(seen.who, seen.name, **seen.values)
        case Shown() if memory is not None:
            if memory.fileno is not None:
                # without room for it now, a guest user's access tries again
                with suppress(OSError):
                    memory.map()
            region.place(Slot(seen.offset, seen.length, memory, seen.start))
        case Hidden():
            region.unmap(seen.offset)
        case Exported() if aliases is not None:
            aliases.exported(seen.inode, OPS[seen.exporter], seen.size, seen.file)
        case Released() if aliases is not None:
            aliases.released(seen.file)
