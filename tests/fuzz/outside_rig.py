"""A machine in lockstep with a defect in it, or without, to which a story is told in requests."""

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec.structs import replace

from vgpu_emu.assembly import Config
from vgpu_emu.fuzz.defect import plant
from vgpu_emu.fuzz.defects.outside_seams import Outside
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.vmm.command import Capset
from vgpu_emu.vmm.fences import timeline_of
from vgpu_emu.vmm.snapshot import restore, take
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import FIRST_ERROR, CtrlHdr
from vgpu_wire.device import CONTROLQ, CURSORQ
from vgpu_wire.messages import parse_message

T = TypeVar("T")
#: capability sets whose every byte is known; blobs of any size
CONFIG = Config(
    guest_memory=4 << 20, blob_alignment=1, capsets={2: Capset(2, b"\x22" * 300), 6: Capset(0, b"\x66" * 64)}
)


class Cable:
    """What carries chains, as the targets of the fuzzer have it."""

    def available(self, chain: Chain) -> list[Chain]:
        return [chain]

    def used(self, used: Used) -> list[Used]:
        return [used]


class Told(Lockstep):
    """defect: None, or the one that is planted. answers: everything that came back: its head, and its type."""

    def __init__(self, defect: Any = None) -> None:
        super().__init__(CONFIG)
        self.defects = () if defect is None else (defect,)
        seams = {
            name: plant(self.defects, name, getattr(self.parts, name)) for name in ("device", "renderer", "driver")
        }
        self.parts = replace(self.parts, **seams)
        self.driver, self.host = self.parts.driver, self.parts.renderer
        self.device = self.parts.device
        self.link = plant(self.defects, "link", Cable())
        self.answers: list[tuple[int, int]] = []
        self._head = 1 << 20

    def submit(self, chain: Chain) -> Used | None:
        """As Lockstep does; over the link."""
        (arrived,) = self.link.available(chain)
        used = super().submit(arrived)
        return None if used is None else self._back(used)

    def _back(self, used: Used) -> Used:
        (back,) = self.link.used(used)
        self.answers.append((back.head, int.from_bytes(back.written[:4], "little")))
        assert isinstance(back, Used)
        return back

    def send(self, request: CtrlHdr) -> bytes | None:
        """The bytes of the answer; None: it has to wait."""
        self._head += 1
        queue = CURSORQ if request.type >= 0x300 and request.type < 0x1000 else CONTROLQ
        used = self.submit(Chain(self._head, queue, request.build(), 4096))
        return None if used is None else used.written

    def tell(self, *requests: CtrlHdr) -> CtrlHdr:
        """The answer to the last of these, all of which are to succeed."""
        answer = None
        for request in requests:
            answer = self.type_and_all(request)
            assert answer.type < FIRST_ERROR, f"{request} -> {answer}"
        assert answer is not None
        return answer

    def type_and_all(self, request: CtrlHdr) -> CtrlHdr:
        written = self.send(request)
        assert written is not None, f"{request} waits"
        return parse_message(written)

    def refuses(self, request: CtrlHdr) -> bool:
        return self.type_and_all(request).type >= FIRST_ERROR

    def pass_time(self, seconds: float) -> list[int]:
        """The heads of the requests that are answered meanwhile, counted from the first that was sent."""
        self.now += seconds
        heads = []
        for signal in self.host.rings.due(self.now):
            used = self.parts.device.signal(timeline_of(signal), signal.fence_id)
            heads += [self._back(one).head - (1 << 20) for one in used]
        return heads

    def restarted(self) -> list[Used]:
        """Another VMM goes on from the snapshot: what it answers at once."""
        state = plant(self.defects, "snapshot", take(self.device))
        self.parts = self.parts.restarted()
        self.device = self.parts.device
        return self.carry(restore(self.device, state))


def outcome(story: Callable[[Told], T], kind: type[Outside] | None = None) -> T:
    """What a story comes to; with a defect, which then must have said that it made a difference."""
    defect = None if kind is None else kind()
    with Told(defect) as machine:
        result = story(machine)
    assert defect is None or (defect.triggered > 0, type(defect).triggered) == (True, 0)
    return result


def alloc(blob_id: int, size: int, exporter: ExporterKind = ExporterKind.WC) -> StreamAlloc:
    return StreamAlloc(exporter=exporter.value, blob_id=blob_id, size=size)
