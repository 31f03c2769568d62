"""Short ways to say what many tests need: a blob of an exporter, the commands on the wire, a guest without a device."""

from typing import Any, Generic, TypeVar

from vgpu_emu.guest.driver import Driver, Op, Wait
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.vma import Vma
from vgpu_emu.ids import GemHandle
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.trace.log import CONTROLQ, GUEST, VMM, Log
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import Feature
from vgpu_wire.messages import parse_message, type_name

T = TypeVar("T")
PAGE = 4096
OK = HeaderOnly(type=CtrlType.RESP_OK_NODATA.value)


def alloc(exporter: ExporterKind = ExporterKind.CACHED, *, blob_id: int = 1, size: int = PAGE) -> bytes:
    """A context stream that allocates one object."""
    return StreamAlloc(exporter=exporter.value, blob_id=blob_id, size=size).build()


def create(
    file: DrmFile, exporter: ExporterKind = ExporterKind.CACHED, *, blob_id: int = 1, size: int = PAGE, **options: Any
) -> Op[GemHandle]:
    """Allocate an object and make a blob of it."""
    cmd = alloc(exporter, blob_id=blob_id, size=size)
    return file.resource_create_blob(size=size, blob_id=blob_id, cmd=cmd, **options)


def create_and_mmap(
    file: DrmFile, exporter: ExporterKind = ExporterKind.CACHED, *, blob_id: int = 1, size: int = PAGE, **options: Any
) -> Op[tuple[GemHandle, Vma]]:
    """The usual way of a buffer to a guest user: create, MAP ioctl, mmap of all of it."""
    handle = yield from create(file, exporter, blob_id=blob_id, size=size, **options)
    vma = yield from file.mmap(file.map(handle), size)
    return handle, vma


def requests(log: Log) -> list[CtrlHdr]:
    """What the guest sent on the controlq, in order."""
    return [parse_message(message.data) for message in log.messages(CONTROLQ) if message.sender == GUEST]


def answers(log: Log) -> list[CtrlHdr]:
    """What the VMM wrote into the chains of the controlq, in order."""
    return [parse_message(message.data) for message in log.messages(CONTROLQ) if message.sender == VMM]


def names(records: list[CtrlHdr]) -> list[str]:
    return [type_name(record.type) for record in records]


def said(log: Log) -> dict[tuple[str, str], list[tuple[bytes, int, int]]]:
    """Who said what on which link: (link, sender) -> its messages, in order, with head and capacity."""
    spoken: dict[tuple[str, str], list[tuple[bytes, int, int]]] = {}
    for message in log.messages(CONTROLQ, "cursorq", "renderer"):
        said_so_far = spoken.setdefault((message.link, message.sender), [])
        said_so_far.append((message.data, message.head, message.capacity))
    return spoken


class Call(Generic[T]):
    """A call of the guest, which goes on as far as it can each time `step` is called. Raises what the call raises."""

    def __init__(self, op: Op[T]) -> None:
        self._op = op
        self.wait: Wait | None = None
        self.returned: list[T] = []
        self.step()

    def step(self) -> None:
        while not self.returned and (self.wait is None or self.wait.ready()):
            self._resume(None if self.wait is None else True)

    def time_out(self) -> None:
        """The time that it would wait is over."""
        assert self.wait is not None
        assert self.wait.timeout is not None
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
        return self.returned[0]


class GuestAlone:
    """A guest whose device is the test: nothing is answered until the test answers it."""

    def __init__(
        self,
        *,
        host_visible: int = 16 * PAGE,
        features: frozenset[Feature] = frozenset({Feature.VIRGL, Feature.RESOURCE_BLOB}),
    ) -> None:
        self.log = Log()
        self.region = HostVisibleRegion(host_visible)
        self.driver = Driver(self.region if host_visible else None, features=features, log=self.log)
        self.file = DrmFile(self.driver)
        #: what was sent and is not answered
        self.sent: list[Chain] = []
        #: everything that was ever sent
        self.heard: list[CtrlHdr] = []

    def kick(self) -> list[CtrlHdr]:
        """The requests that the guest queued since the last kick."""
        chains = self.driver.take_available()
        self.sent += chains
        requests = [parse_message(chain.readable) for chain in chains]
        self.heard += requests
        return requests

    def answer(self, response: CtrlHdr | bytes = OK, command: CtrlType | None = None) -> None:
        """Answer the oldest request, or the oldest of this type."""
        self.kick()
        chain = next(c for c in self.sent if command is None or parse_message(c.readable).type == command)
        self.sent.remove(chain)
        written = response if isinstance(response, bytes) else response.build()
        self.driver.complete(Used(chain.head, chain.queue, written))

    def answer_all(self, map_info: int = 1) -> None:
        """Answer everything as a device does that finds nothing wrong."""
        self.kick()
        while self.sent:
            maps = parse_message(self.sent[0].readable).type == CtrlType.RESOURCE_MAP_BLOB
            self.answer(RespMapInfo(map_info=map_info) if maps else OK)

    def quiesce(self) -> list[CtrlHdr]:
        """Answer everything until nothing more comes: all requests that were sent meanwhile, in order."""
        before = len(self.heard)
        self.kick()
        while self.sent:
            self.answer_all()
            self.kick()
        return self.heard[before:]

    def run(self, op: Op[T]) -> T:
        """A call with every request answered."""
        call = Call(op)
        while call.sleeps:
            self.answer_all()
            call.step()
        self.answer_all()
        return call.value
