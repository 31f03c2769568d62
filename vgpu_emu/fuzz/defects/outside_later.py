"""Defects by somebody who has not read the oracles: wrong only with time, resets, faults or snapshots (L4)."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.defects.outside_seams import Outside, answer_type
from vgpu_emu.host.rings import Ring, Rings
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.vmm.asking import Steps
from vgpu_emu.vmm.fences import Timeline
from vgpu_wire.control import FIRST_ERROR
from vgpu_wire.renderer_link import Fence


class Later(Outside):
    depth = "L4"


class RingsShareProgress(Later):
    """One progress for all rings of a context: a ring's fence completes those of smaller ids on the other rings."""

    component = "fences"

    def device(self, device: Any) -> Any:
        defect = self

        class OneProgress(Wrapper):
            def signal(self, timeline: Timeline, fence_id: int) -> list[Used]:
                released: list[Used] = self.inner.signal(timeline, fence_id)
                ctx_id, ring_idx = timeline
                for other, number, _used in list(self.inner.fences) if ring_idx >= 0 else []:
                    if other[0] == ctx_id and other != timeline and other[1] >= 0:
                        defect.reached += 1
                        early = self.inner.signal(other, number) if number < fence_id else []
                        defect.triggered += bool(early)
                        released += early
                return released

        return OneProgress(device)


class GlobalFenceOfOneRing(Later):
    """A fence without a ring waits for the ring that got work last, and not for the ones that are busy longer."""

    component = "renderer"

    def renderer(self, renderer: Any) -> Any:
        defect = self

        class LastRing(Rings):
            last: Ring = (0, 0)

            def work(self, ring: Ring, seconds: float, now: float) -> None:
                self.last = ring
                super().work(ring, seconds, now)

            def fence(self, fence: Fence, now: float) -> bool:
                whole = self._busy_until
                if fence.is_global:
                    self._busy_until = {self.last: whole.get(self.last, 0.0)}
                    defect.reached += 1
                    defect.triggered += max([now, *whole.values()]) > max(now, self._busy_until[self.last])
                pending = super().fence(fence, now)
                self._busy_until = whole
                return pending

        class Renewed(Wrapper):
            def handle(self, data: bytes, now: float = 0.0) -> Any:
                # a reset of the renderer makes new rings
                if not isinstance(renderer.rings, LastRing):
                    renderer.rings = LastRing()
                return self.inner.handle(data, now)

        return Renewed(renderer)


class FencesOutliveReset(Later):
    """A reset forgets what waits on the first ring of a context and on the device's timeline, and not on the other
    rings: what is fenced there later waits behind a fence that is never signalled."""

    component = "reset"

    def device(self, device: Any) -> Any:
        defect = self

        class Kept(Wrapper):
            def reset(self) -> Steps[None]:
                waiting = list(self.inner.fences)
                yield from self.inner.reset()
                defect.reached += bool(waiting)
                for timeline, fence_id, used in waiting:
                    if timeline[1] > 0:
                        defect.triggered += 1
                        self.inner.fences.park(timeline, fence_id, used)

        return Kept(device)


class OldFenceList(Later):
    """The driver takes every fence up to the one that is complete for signalled, whatever its timeline."""

    component = "driver"

    def driver(self, driver: Any) -> Any:
        fences = driver.fences
        process: Callable[[int], None] = fences.process

        def process_all(fence_id: int) -> None:
            process(fence_id)
            earlier = [number for number in list(fences._by_id) if number < fence_id]
            self.reached += 1
            self.triggered += bool(earlier)
            for number in earlier:
                process(number)

        fences.process = process_all
        return driver


class ErrorKeepsObjects(Later):
    """The driver does not give back the objects of a request that was refused: their resources never end."""

    component = "driver"

    def driver(self, driver: Any) -> Any:
        defect = self

        class Leaking(Wrapper):
            def complete(self, used: Used) -> None:
                pending = self.inner._pending.get((used.queue, used.head))
                if pending is not None and answer_type(used) >= FIRST_ERROR:
                    defect.reached += 1
                    for gem in pending.objects:
                        defect.triggered += 1
                        gem.get()
                self.inner.complete(used)

        return Leaking(driver)


class NewestFenceIsKept(Later):
    """A snapshot keeps one waiting answer a timeline, the newest: those before it are never given."""

    component = "snapshot"

    def snapshot(self, data: bytes) -> bytes:
        state = msgspec.json.decode(data)
        newest = {(fence["ctx_id"], fence["ring_idx"]): fence for fence in state["fences"]}
        self.reached += bool(newest)
        self.triggered += len(newest) < len(state["fences"])
        return msgspec.json.encode({**state, "fences": list(newest.values())})


class BackingIsSorted(Later):
    """A snapshot keeps the pages of a backing in the order of their addresses."""

    component = "snapshot"

    def snapshot(self, data: bytes) -> bytes:
        state = msgspec.json.decode(data)
        for resource in (*state["images"], *state["blobs"]):
            stretches = resource["backing"] or []
            self.reached += len(stretches) > 1
            self.triggered += stretches != sorted(stretches)
            resource["backing"] = sorted(stretches) if resource["backing"] is not None else None
        return msgspec.json.encode(state)


class AnswersInOrder(Later):
    """An answer that comes while two older requests of its queue wait is taken for the answer to the oldest of them,
    and the other way round, as if requests were always used in order."""

    component = "link"

    def link(self, link: Any) -> Any:
        defect = self

        class InOrder(Wrapper):
            def __init__(self, inner: Any) -> None:
                super().__init__(inner)
                self.waiting: dict[tuple[int, int], int] = {}

            def available(self, chain: Chain) -> list[Chain]:
                self.waiting[chain.queue, chain.head] = chain.head
                arrived: list[Chain] = self.inner.available(chain)
                return arrived

            def used(self, used: Used) -> list[Used]:
                """waiting: a chain's head -> the head under which its answer goes."""
                older = [key for key in self.waiting if key[0] == used.queue]
                place = older.index((used.queue, used.head)) if (used.queue, used.head) in older else 0
                if place >= 2:
                    defect.reached += 1
                    defect.triggered += 1
                    self._swap(older[0], older[place])
                head = self.waiting.pop((used.queue, used.head), used.head)
                back: list[Used] = self.inner.used(replace(used, head=head))
                return back

            def _swap(self, one: tuple[int, int], other: tuple[int, int]) -> None:
                self.waiting[one], self.waiting[other] = self.waiting[other], self.waiting[one]

        return InOrder(link)
