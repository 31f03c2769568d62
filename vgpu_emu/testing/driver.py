"""A guest's driver alone: its device is the test, and nothing is answered until the test says so."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from msgspec.structs import replace

from vgpu_emu.guest.driver import Driver
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.waiting import Op, Wait
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.memory import PAGE_SIZE
from vgpu_emu.trace.log import Log
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, Feature
from vgpu_wire.display import DisplayOne, Rect, RespDisplayInfo, RespEdid
from vgpu_wire.messages import parse_message, type_name
from vgpu_wire.render import RespCapset, RespCapsetInfo
from vgpu_wire.resource import RespResourceUuid

T = TypeVar("T")
OK = HeaderOnly(type=CtrlType.RESP_OK_NODATA.value)
_DISPLAY = DisplayOne(r=Rect(width=1024, height=768), enabled=1)
#: what a device answers that finds nothing wrong; to all else RESP_OK_NODATA
_ANSWERS: dict[int, CtrlHdr] = {
    CtrlType.GET_DISPLAY_INFO: RespDisplayInfo(pmodes=[_DISPLAY, *[DisplayOne()] * 15]),
    CtrlType.GET_EDID: RespEdid(edid=bytes(1024)),
    CtrlType.GET_CAPSET_INFO: RespCapsetInfo(),
    CtrlType.GET_CAPSET: RespCapset(),
    CtrlType.RESOURCE_ASSIGN_UUID: RespResourceUuid(uuid=bytes(range(16))),
}


class Call(Generic[T]):
    """A call of the guest, which goes on as far as it can each time `step` is called. Raises what the call raises.

    wait: what it sleeps for. returned: its value, when it is over.
    """

    def __init__(self, op: Op[T]) -> None:
        self._op = op
        self.wait: Wait | None = None
        self.returned: list[T] = []
        self.step()

    def step(self) -> None:
        while not self.returned and (self.wait is None or self.wait.ready()):
            self._resume(None if self.wait is None else True)

    def time_out(self) -> None:
        """The time that it would wait is over. Raises ValueError for a call that does not wait with a limit."""
        if self.wait is None or self.wait.timeout is None:
            raise ValueError("the call does not wait with a time limit")
        self._resume(False)
        self.step()

    def _resume(self, value: bool | None) -> None:
        try:
            self.wait = self._op.send(value)
        except StopIteration as done:
            self.wait = None
            self.returned.append(done.value)

    @property
    def sleeps(self) -> bool:
        return not self.returned

    @property
    def value(self) -> T:
        """Raises ValueError for a call that is not over."""
        if not self.returned:
            raise ValueError(f"the call is not over: it waits for {self.wait.why if self.wait else 'nothing'}")
        return self.returned[0]


class DriverAlone:
    """A driver with one open file. host_visible, guest_memory: bytes; without the former there is no region.

    sent: requests that are not answered. heard: all that were ever sent, but those whose bytes are no message.
    """

    def __init__(
        self,
        *,
        features: Iterable[Feature] = (Feature.VIRGL, Feature.RESOURCE_BLOB),
        host_visible: int = 16 * PAGE_SIZE,
        guest_memory: int = 0,
    ) -> None:
        self.log = Log()
        self.region = HostVisibleRegion(host_visible)
        self.memory = GuestMemory()
        if guest_memory:
            self.memory.add(0, bytearray(guest_memory))
        self.driver = Driver(
            self.region if host_visible else None,
            features=features,
            log=self.log,
            memory=self.memory,
            memory_size=guest_memory,
        )
        self.file = DrmFile(self.driver)
        self.sent: list[Chain] = []
        self.heard: list[CtrlHdr] = []

    def kick(self) -> list[CtrlHdr]:
        """The requests that the guest queued since the last kick."""
        chains = self.driver.take_available()
        self.sent += chains
        for chain in chains:
            self.log.request(chain)
        requests = [parse_message(chain.readable) for chain in chains]
        self.heard += requests
        return requests

    def answer(self, response: CtrlHdr | bytes = OK, command: CtrlType | None = None) -> None:
        """Answer the oldest request, or the oldest of this type; a message is given the request's fence, bytes go as
        they are. Raises LookupError if there is no such request."""
        self.kick()
        found = [c for c in self.sent if command is None or parse_message(c.readable).type == command]
        if not found:
            raise LookupError(f"no {'request' if command is None else type_name(command)} waits for an answer")
        self.sent.remove(found[0])
        written = response if isinstance(response, bytes) else _fenced(response, found[0]).build()
        used = Used(found[0].head, found[0].queue, written[: found[0].capacity])
        self.log.answer(used)
        self.driver.complete(used)

    def answer_all(self, map_info: int = 1) -> None:
        """Answer everything as a device does that finds nothing wrong; blobs are mapped with this map_info."""
        self.kick()
        while self.sent:
            kind = parse_message(self.sent[0].readable).type
            if self.sent[0].queue != CONTROLQ:
                self.answer(b"")
            elif kind == CtrlType.RESOURCE_MAP_BLOB:
                self.answer(RespMapInfo(map_info=map_info))
            else:
                self.answer(_ANSWERS.get(kind, OK))

    def quiesce(self) -> list[CtrlHdr]:
        """Answer everything until nothing more comes: all requests that were sent meanwhile, in order."""
        before = len(self.heard)
        self.kick()
        while self.sent:
            self.answer_all()
            self.kick()
        return self.heard[before:]

    def run(self, op: Op[T]) -> T:
        """A call with every request answered. Raises what the call raises; ValueError if it waits for anything else."""
        call = Call(op)
        while call.sleeps and (self.sent or self.driver.available):
            self.answer_all()
            call.step()
        self.answer_all()
        return call.value


def _fenced(response: CtrlHdr, chain: Chain) -> CtrlHdr:
    request = parse_message(chain.readable)
    if response.flags or not request.flags & CtrlFlag.FENCE:
        return response
    return replace(
        response,
        flags=request.flags,
        fence_id=request.fence_id,
        ctx_id=request.ctx_id,
        ring_idx=request.ring_idx,
    )
