"""What defects are made of: a canary, and ways to stand in for a part of a device, a renderer or a driver.

An object of a class is made for each machine, so that nothing is carried from one program into the next.
"""

from collections.abc import Callable, Generator
from typing import Any, ClassVar

from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.vmm.command import Handler
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.rules import Rule
from vgpu_wire.control import FIRST_ERROR, CtrlType

#: a command's handler, and what it is called with
Around = Callable[[Handler, Device, Any], Any]


class Planted:
    """A defect, or a benign mutant. Its docstring is the sentence that says what is wrong.

    reached: how often the code that is wrong ran; triggered: how often it did something wrong. Both count over all
    machines of a process, and no oracle looks at them.
    """

    reached: ClassVar[int] = 0
    triggered: ClassVar[int] = 0

    @classmethod
    def passed(cls, wrong: object) -> bool:
        """The canary: the code was reached, and is wrong this time if `wrong`, which is returned."""
        cls.reached += 1
        cls.triggered += bool(wrong)
        return bool(wrong)


class Part(Wrapper):
    """What stands in for a part of the machine, and knows its defect, for the canary."""

    def __init__(self, inner: Any, defect: Planted) -> None:
        super().__init__(inner)
        self.defect = defect


class Unchecked(Planted):
    """The VMM does not look whether some rules hold."""

    rules: ClassVar[frozenset[Rule]] = frozenset()

    def device(self, device: Device) -> Device:
        unchecked(device, self.forgives)
        return device

    def forgives(self, rule: Rule, holds: object) -> bool:
        return rule in self.rules and self.passed(not holds)


def unchecked(device: Device, forgives: Callable[[Rule, object], bool]) -> None:
    """Let commands go on where a rule is broken that `forgives` says yes to."""
    require = device.require

    def lax(holds: object, rule: Rule) -> None:
        require(forgives(rule, holds) or holds, rule)

    device.require = lax  # type: ignore[method-assign]


def around(device: Device, number: CtrlType, change: Around) -> None:
    """Call `change(handler, device, request)` in the place of a command's handler."""
    key = number.value.to_bytes(4, "little")
    parse, handler, gate, queue, done = device._entries[key]
    device._entries[key] = (parse, lambda live, request: change(handler, live, request), gate, queue, done)


def finish(outcome: Any) -> Generator[Any, Any, Any]:
    """A handler's response, whether it asks the renderer or not: for `yield from`."""
    return (yield from outcome) if isinstance(outcome, Generator) else outcome


class Answers(Wrapper):
    """A device whose answers pass through `change(chain, used)`, which may be None for those that wait.

    late(used): the same for answers that a fence has released.
    """

    def __init__(
        self,
        inner: Device,
        change: Callable[[Chain, Used | None], Used | None],
        late: Callable[[list[Used]], list[Used]] = list,
    ) -> None:
        super().__init__(inner)
        self.change = change
        self.late = late

    def handle(self, chain: Chain) -> Any:
        answer = self.inner.handle(chain)
        return self.change(chain, answer) if answer is None or isinstance(answer, Used) else self._later(chain, answer)

    def _later(self, chain: Chain, steps: Any) -> Any:
        return self.change(chain, (yield from steps))

    def signal(self, timeline: tuple[int, int], fence_id: int) -> list[Used]:
        return list(self.late(self.inner.signal(timeline, fence_id)))


class Replies(Wrapper):
    """A renderer whose replies pass through `change(op, question, reply)`; all are bytes, with the descriptors."""

    def __init__(self, inner: Any, change: Callable[[int, bytes, Any], Any]) -> None:
        super().__init__(inner)
        self.change = change

    def handle(self, data: bytes, now: float = 0.0) -> Any:
        return self.change(int.from_bytes(data[:4], "little"), data, self.inner.handle(data, now))


def number_of(data: bytes) -> int:
    """The type of a request or an answer; 0 of one without."""
    return int.from_bytes(data[:4], "little")


def is_error(used: Used | None) -> bool:
    return used is not None and number_of(used.written) >= FIRST_ERROR


def with_bytes(used: Used, place: int, data: bytes) -> Used:
    """The same answer with other bytes at a place, as far as it is long."""
    end = place + len(data)
    written = used.written
    return Used(used.head, used.queue, (written[:place] + data + written[end:])[: len(written)])
