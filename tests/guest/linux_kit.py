"""A capture of a real Linux as the other half of a guest model: it answers, and says when things happened.

Two things are not determined by what programs do, and are taken from the capture. Which pages an object gets: they are
given to the model, which must make the same memory entries of them. And when the workers and the console of the kernel
had their turn: an answer that a worker waits for is held back until the capture shows the worker's next command.
Everything else is the model's: each request must be the one that Linux sent, byte for byte, in buffers as large.
"""

import copy
import json
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

from vgpu_emu.guest.console import Console
from vgpu_emu.guest.driver import Driver, buffers
from vgpu_emu.guest.drm_mm import DrmMm
from vgpu_emu.guest.pages import PageAllocator, Run
from vgpu_emu.guest.waiting import Op, Wait
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.trace.log import QUEUE_NAMES, Log
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.device import Config, Feature
from vgpu_wire.messages import parse_message
from vgpu_wire.resource import ResourceAttachBacking, ResourceUnref, TransferToHost2D

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
#: what programs do: each yields ioctls and gets their results
Program = Generator[Op[Any], Any, Any]
#: their answers are held back: a worker goes on when they come
HELD = (CtrlType.CTX_DETACH_RESOURCE, CtrlType.RESOURCE_UNREF)
#: how many requests of workers and console may come before the next blob is mapped
_LOOK_AHEAD = 8


class Line(NamedTuple):
    """A request of the capture, and its answer."""

    order: int
    queue: str
    request: bytes
    response: bytes
    readable: tuple[int, ...]
    writable: tuple[int, ...]


def lines_of(name: str) -> list[Line]:
    read = (json.loads(line) for line in CAPTURES.joinpath(f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
    return [
        Line(
            line["order"],
            line["queue"],
            bytes.fromhex(line["request"]),
            bytes.fromhex(line["response"]),
            tuple(line["out"]),
            tuple(line["inn"]),
        )
        for line in read
    ]


class PagesOfLinux(PageAllocator):
    """Gives out the pages that Linux had, in the order in which it used them."""

    def __init__(self, lines: list[Line]) -> None:
        super().__init__(GuestMemory(), 0)
        requests = [parse_message(line.request) for line in lines]
        self.given = deque(
            [(entry.addr, entry.addr + entry.length) for entry in request.entries]
            for request in requests
            if isinstance(request, ResourceAttachBacking | ResourceCreateBlob) and request.nr_entries
        )

    def allocate(self, size: int) -> list[Run]:
        runs = self.given.popleft()
        assert sum(end - start for start, end in runs) == size
        return runs

    def release(self, runs: list[Run]) -> None:
        assert runs


class OneScanout:
    """The configuration space of the device that was captured."""

    def __init__(self, num_capsets: int) -> None:
        self.num_capsets = num_capsets

    def read(self) -> Config:
        return Config(num_scanouts=1, num_capsets=self.num_capsets)

    def clear_events(self, events: int) -> None:
        raise AssertionError("nothing was plugged in")


class AgainstLinux:
    """The model's side. compared: how many requests were the same."""

    def __init__(
        self, name: str, features: set[Feature], program: "Callable[[AgainstLinux], Program]", num_capsets: int = 0
    ) -> None:
        self.lines = lines_of(name)
        region = HostVisibleRegion(8 << 30)
        self.driver = Driver(region, features=features, log=Log(), config=OneScanout(num_capsets))
        self.driver.pages = PagesOfLinux(self.lines)
        self.console = Console(self.driver, "insmod")
        #: sent and not compared, by who sent it: the program, or the kernel on its own
        self.streams: tuple[deque[Chain], deque[Chain]] = (deque(), deque())
        #: resource -> where it was put in the region
        self.places: dict[int, int] = {}
        self.held: deque[tuple[CtrlHdr, Used]] = deque()
        #: the program's ioctl, if it is in one; what the last one returned, or its OSError
        self.op: Op[Any] | None = None
        self.wait: Wait | None = None
        self.result: object = None
        self.is_over = False
        self.compared = 0
        self.program = program(self)

    def run(self) -> None:
        """Let the program run for the length of the capture."""
        for index, line in enumerate(self.lines):
            chain = self._stream_with(line, index).popleft()
            request = parse_message(chain.readable)
            sizes = buffers(request), (chain.capacity,) if chain.capacity else ()
            assert (QUEUE_NAMES[chain.queue], *sizes) == (line.queue, line.readable, line.writable)
            self.compared += 1
            self._answer(request, Used(chain.head, chain.queue, line.response))
        if not self.is_over:
            self._next_ioctl()
        assert self.is_over, "the program does more than the capture shows"
        assert not any(self.streams)

    def _stream_with(self, line: Line, index: int) -> deque[Chain]:
        """Who sends this request next."""
        while True:
            for stream in self.streams:
                if stream and stream[0].readable == line.request:
                    return stream
            assert self._go_on(parse_message(line.request), index), (
                f"{line.order}: Linux sent {parse_message(line.request)}, "
                f"the model {[parse_message(stream[0].readable) for stream in self.streams if stream]}"
            )

    def _go_on(self, request: CtrlHdr, index: int) -> bool:
        """Let happen what must have happened before Linux sent this; False: nothing is left."""
        if isinstance(request, ResourceUnmapBlob | ResourceUnref) and not self.streams[1] and self.held:
            self._release(0)
            return True
        if self._is_console(request) and not self.streams[1]:
            self.driver.workers.schedule(self.console.damage())
            self.driver.workers.run()
            self.streams[1].extend(self.driver.take_available())
            if self.streams[1]:
                return True
        if self.streams[0] or self.op is not None or self.is_over:
            return False
        self._make_room(index)
        self._next_ioctl()
        return True

    def _is_console(self, request: CtrlHdr) -> bool:
        framebuffer = self.console.framebuffer
        if framebuffer is None or not isinstance(request, TransferToHost2D):
            return False
        return request.resource_id == framebuffer.gem.resource_id

    # -- answers

    def _answer(self, request: CtrlHdr, used: Used) -> None:
        if isinstance(request, ResourceMapBlob):
            self.places[request.resource_id] = request.offset
        if request.type in HELD:
            self.held.append((request, used))
        else:
            self._complete(used)

    def _complete(self, used: Used) -> None:
        self.driver.complete(used)
        self.streams[1].extend(self.driver.take_available())
        self._proceed()

    def _release(self, position: int) -> None:
        _request, used = self.held[position]
        del self.held[position]
        self._complete(used)

    def _make_room(self, index: int) -> None:
        """Which places of the region were free again when Linux took one: as few answers to UNREF as that needs."""
        requests = [parse_message(line.request) for line in self.lines[index : index + _LOOK_AHEAD]]
        created = next((request for request in requests if isinstance(request, ResourceCreateBlob)), None)
        mapped = next((request for request in requests if isinstance(request, ResourceMapBlob)), None)
        if created is None or mapped is None or mapped.resource_id != created.resource_id:
            return
        unrefs = [pair for pair in self.held if isinstance(pair[0], ResourceUnref)]
        for answered in range(len(unrefs) + 1):
            mm = copy.deepcopy(self.driver.mm)
            for request, _ in unrefs[:answered]:
                self._free(mm, request)
            if mm.insert(created.size) == mapped.offset:
                for pair in unrefs[:answered]:
                    self._release(self.held.index(pair))
                return

    def _free(self, mm: DrmMm, request: CtrlHdr) -> None:
        """The place of the resource that this RESOURCE_UNREF is about, if it has one."""
        assert isinstance(request, ResourceUnref)
        place = self.places.get(request.resource_id)
        if place is not None:
            mm.remove(place)

    # -- the program

    def _next_ioctl(self) -> None:
        """Start the program's next ioctl, and go on with it as far as it can go."""
        try:
            self.op = self.program.send(self.result)
        except StopIteration:
            self.is_over = True
        self.wait = None
        self._proceed()

    def _proceed(self) -> None:
        while self.op is not None and (self.wait is None or self.wait.ready()):
            try:
                self.wait = self.op.send(None if self.wait is None else True)
            except StopIteration as done:
                self.op, self.result = None, done.value
            except OSError as refused:
                self.op, self.result = None, refused
        self.streams[0].extend(self.driver.take_available())
