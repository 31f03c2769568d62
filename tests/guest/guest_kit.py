"""A guest whose device is the test: nothing is answered until the test says so, and time passes only by its word."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace
from support import Call

from vgpu_emu.guest.driver import Driver
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.waiting import Op
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.trace.log import Log, Note
from vgpu_emu.vmm.edid import edid_block
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, Config, Feature
from vgpu_wire.display import DisplayOne, Rect, RespDisplayInfo, RespEdid
from vgpu_wire.messages import parse_message, type_name
from vgpu_wire.render import RespCapset, RespCapsetInfo
from vgpu_wire.resource import RespResourceUuid

T = TypeVar("T")
PAGE = 4096
OK = HeaderOnly(type=CtrlType.RESP_OK_NODATA.value)
UNSPEC = HeaderOnly(type=CtrlType.RESP_ERR_UNSPEC.value)
EVERYTHING = frozenset(Feature) - {Feature.BLOB_ALIGNMENT}
PLAIN = frozenset({Feature.EDID})
BLOBS_2D = frozenset({Feature.EDID, Feature.RESOURCE_UUID, Feature.RESOURCE_BLOB})
MODES = [DisplayOne(r=Rect(width=640, height=480), enabled=1), DisplayOne(r=Rect(width=800, height=600), enabled=1)]
#: what a device says that finds nothing wrong
ANSWERS: dict[int, CtrlHdr] = {
    CtrlType.GET_DISPLAY_INFO: RespDisplayInfo(pmodes=[*MODES, *[DisplayOne()] * 14]),
    CtrlType.GET_EDID: RespEdid(size=128, edid=edid_block(640, 480).ljust(1024, b"\0")),
    CtrlType.GET_CAPSET_INFO: RespCapsetInfo(capset_id=4, capset_max_version=1, capset_max_size=8),
    CtrlType.GET_CAPSET: RespCapset(capset_data=b"capset!!"),
    CtrlType.RESOURCE_MAP_BLOB: RespMapInfo(map_info=1),
    CtrlType.RESOURCE_ASSIGN_UUID: RespResourceUuid(uuid=bytes(range(16))),
}


class FakeConfig:
    """A configuration space that the test writes."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.cleared: list[int] = []

    def read(self) -> Config:
        return self.config

    def clear_events(self, events: int) -> None:
        self.cleared.append(events)
        self.config = replace(self.config, events_read=self.config.events_read & ~events)


class Guest:
    """A driver with one open file."""

    def __init__(
        self,
        features: frozenset[Feature] = EVERYTHING,
        *,
        scanouts: int = 1,
        capsets: int = 0,
        blob_alignment: int = PAGE,
        memory: int = 8 << 20,
        region: int = 16 * PAGE,
        indirect: bool = True,
    ) -> None:
        self.log = Log()
        self.config = FakeConfig(Config(num_scanouts=scanouts, num_capsets=capsets, blob_alignment=blob_alignment))
        self.memory = GuestMemory()
        self.memory.add(0, bytearray(memory))
        self.driver = Driver(
            HostVisibleRegion(region) if region else None,
            features=features,
            log=self.log,
            config=self.config,
            memory=self.memory,
            memory_size=memory,
            indirect=indirect,
        )
        self.file = DrmFile(self.driver)
        #: what was sent and is not answered
        self.waiting: list[Chain] = []

    def sent(self) -> list[CtrlHdr]:
        """The requests since the last look."""
        chains = self.driver.take_available()
        self.waiting += chains
        return [parse_message(chain.readable) for chain in chains]

    def names(self) -> list[str]:
        return [type_name(request.type) for request in self.sent()]

    def answer(self, response: CtrlHdr | bytes | None = None, command: CtrlType | None = None) -> None:
        """Answer the oldest request, or the oldest of this type; with its fence. None: as if all were well."""
        self.sent()
        chain = next(c for c in self.waiting if command is None or parse_message(c.readable).type == command)
        self.waiting.remove(chain)
        request = parse_message(chain.readable)
        if response is None:
            response = b"" if chain.queue != CONTROLQ else ANSWERS.get(request.type, OK)
        if not isinstance(response, bytes):
            response = replace(response, flags=request.flags, fence_id=request.fence_id).build()
        self.driver.complete(Used(chain.head, chain.queue, response[: chain.capacity]))

    def answer_all(self) -> None:
        """Answer everything, and what is sent on that."""
        while self.sent() or self.waiting:
            self.answer()

    def run(self, op: Op[T]) -> T:
        """A call with every request answered."""
        call = Call(op)
        while call.sleeps:
            self.answer_all()
            call.step()
        self.answer_all()
        return call.value

    def errors(self) -> list[str]:
        """The lines that Linux would print."""
        names = ("error_response", "drm_error")
        notes = (event for event in self.log.events if isinstance(event, Note))
        return [note.values["text"] for note in notes if note.name in names]


def refusal(call: Callable[[], object]) -> int | None:
    """The errno of a call that is refused; None if it is not."""
    try:
        call()
    except OSError as refused:
        return refused.errno
    return None


def errno_of(op: Op[Any]) -> int | None:
    """The errno of an ioctl that is refused at once; None if it is not."""
    return refusal(lambda: Call(op))


def of_type(requests: Sequence[CtrlHdr], kind: type[T]) -> list[T]:
    return [request for request in requests if isinstance(request, kind)]
