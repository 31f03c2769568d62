"""A host that lies to a guest's driver: calls of a guest program, and answers that are not what the device said.

What a host can do to a guest is to deny it service. Everything else is a finding: an exception that no call documents,
a mapping outside of the host visible region, of another type than was told or over another object's, accounts that do
not add up, work without end.
"""

from collections.abc import Callable
from contextlib import suppress
from itertools import combinations

from vgpu_emu.fuzz.actions import Call, Elapse
from vgpu_emu.fuzz.core import Core
from vgpu_emu.fuzz.encoding import MAX_STEPS, Reader, read_call
from vgpu_emu.fuzz.engines.lies import Liar, Lie
from vgpu_emu.fuzz.engines.target import Target
from vgpu_emu.fuzz.engines.wanted import wanted
from vgpu_emu.fuzz.lockstep import HangError, Lockstep
from vgpu_emu.fuzz.mapping import PGPROT
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.guest.driver import CURSORQ_SIZE, QUEUE_SIZE
from vgpu_emu.guest.probe import config_interrupt, probe
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.waiting import Op, Wait
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.memory import PAGE_SIZE
from vgpu_wire.blob import ResourceMapBlob, RespMapInfo
from vgpu_wire.control import CtrlType
from vgpu_wire.device import CONTROLQ, CURSORQ, Config
from vgpu_wire.errors import WireError

#: requests that one step can lead to; a program has some twenty objects at most, and closes them with a few requests
_REQUESTS = 10_000
DEFECTS = wanted("driver")
_SIZES = {CONTROLQ: QUEUE_SIZE, CURSORQ: CURSORQ_SIZE}


class _LyingConfig:
    """The configuration space of such a host."""

    def __init__(self, reader: Reader) -> None:
        events, scanouts, capsets, alignment = (reader.number() % (1 << 32) for _ in range(4))
        self._config = Config(events_read=events, num_scanouts=scanouts, num_capsets=capsets, blob_alignment=alignment)

    def read(self) -> Config:
        return self._config

    def clear_events(self, events: int) -> None:
        """Whatever the driver says."""


class _Patient(Lockstep):
    """A call that hangs is what such a host can bring about. It holds what it has: nobody can count that any more."""

    def _hangs(self, wait: Wait) -> None:
        self._core.hangs = True
        raise HangError(wait.why)


class LyingHost(Core):
    """A device and a renderer that are honest, and somebody between them and the guest."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup, defects=DEFECTS)
        self.lockstep = _Patient(self)
        self.liar = Liar()
        # what the guest is told is not what the reference knows
        self.meddled = True
        #: head -> the resource that was to be mapped; resource -> the map_info that was told
        self._asked: dict[int, int] = {}
        self._told: dict[int, int] = {}

    def _handle(self, chain: Chain) -> None:
        self.commands += 1
        if chain.readable[:4] == CtrlType.RESOURCE_MAP_BLOB.to_bytes(4, "little"):
            self._asked[chain.head] = ResourceMapBlob.parse(chain.readable).resource_id
        used = self.device.handle(chain)
        if used is not None and not isinstance(used, Used):
            used = self.host.carry(used)
        if used is not None:
            self._used(used)

    def _used(self, used: Used) -> None:
        for back in self.liar.tell(used):
            self._note(back)
            self.driver.complete(back)

    def _note(self, used: Used) -> None:
        """The first answer counts; what it lacks reads as zero, and Linux masks nothing of map_info."""
        if used.queue != CONTROLQ or used.head not in self._asked:
            return
        resource_id = self._asked.pop(used.head)
        with suppress(WireError):
            size = RespMapInfo.layout.size
            answer = RespMapInfo.parse(used.written[:size].ljust(size, b"\0"))
            if answer.type == CtrlType.RESP_OK_MAP_INFO:
                self._told[resource_id] = answer.map_info

    # -- oracles

    def check(self) -> None:
        """Raises Finding."""
        mappings = [vma for vma in self.guest.vmas if vma.region is self.parts.region]
        for vma in mappings:
            self._check_mapping(vma)
        for one, other in combinations(mappings, 2):
            apart = one.start + one.length <= other.start or other.start + other.length <= one.start
            if one.vram is not other.vram and not apart:
                raise Finding("I14", f"two objects are mapped at {max(one.start, other.start):#x}")
        for queue, size in _SIZES.items():
            free = self.driver.free_descriptors[queue]
            if free > size or (not self.driver.in_flight and free != size):
                raise Finding("I12", f"queue {queue} of {size} has {free} free descriptors")

    def _check_mapping(self, vma: Vma) -> None:
        resource_id = int(vma.vram.resource_id)
        if not 0 <= vma.start < vma.start + vma.length <= self.parts.region.size:
            raise Finding("I4", f"resource {resource_id} is mapped outside of the host visible region")
        if resource_id not in self._told:
            raise Finding("I2", f"resource {resource_id} is mapped, and the device has not said how")
        wanted = PGPROT.get(self._told[resource_id], "cached")
        if vma.pgprot.value != wanted:
            raise Finding("I2", f"map_info {self._told[resource_id]:#x} is mapped {vma.pgprot.value}, not {wanted}")


def _op(host: LyingHost, op: Op[None]) -> None:
    with suppress(OSError, HangError):
        host.lockstep.run(op)
    host.lockstep.kick()


def _call(host: LyingHost, reader: Reader) -> None:
    host.lockstep.call(read_call(reader))


def _lie(host: LyingHost, reader: Reader) -> None:
    host.liar.add(Lie(reader))


def _elapse(host: LyingHost, reader: Reader) -> None:
    host.elapse(Elapse(reader.number() % (1 << 24)))


def _probe(host: LyingHost, reader: Reader) -> None:
    """Linux probes once, so that nothing is shown yet: an output that is made anew knows no framebuffer."""
    config = _LyingConfig(reader)
    if not host.guest.framebuffers:
        host.driver.config = config
        _op(host, probe(host.driver))


def _interrupt(host: LyingHost, _reader: Reader) -> None:
    config_interrupt(host.driver)
    host.lockstep.kick()


#: calls come more often than anything else
_STEPS: tuple[Callable[[LyingHost, Reader], None], ...] = (_call, _lie, _call, _elapse, _call, _probe, _lie, _interrupt)


def run_driver(data: bytes) -> None:
    """Raises Finding, and whatever the driver should not have raised."""
    reader = Reader(data)
    # a guest of one page has none for objects
    host = LyingHost(Setup(real=True, host_visible=1 << 16, memory=PAGE_SIZE))
    try:
        host.lockstep.call(Call("open"))
        for _ in range(MAX_STEPS):
            if not reader:
                break
            before = host.commands
            _STEPS[reader.byte() % len(_STEPS)](host, reader)
            host.check()
            if host.commands - before > _REQUESTS:
                raise Finding("I29", f"one step of the guest led to {host.commands - before} requests")
        _op(host, host.guest.end())
    finally:
        host.close()


DRIVER = Target("driver", run_driver)
