"""What each fault does with a message: which messages arrive in its place."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio
from msgspec.structs import replace

from vgpu_emu.faults import plan
from vgpu_emu.faults.hands import ERRNOS, read_only, shortened, zeroed
from vgpu_emu.faults.messages import data_of, with_data
from vgpu_emu.link.chain import Chain
from vgpu_wire.dmabuf import DmaBufInfo
from vgpu_wire.errors import WireError
from vgpu_wire.renderer_link import Answer, numbered

if TYPE_CHECKING:
    from vgpu_emu.faults.injector import Injector
    from vgpu_emu.faults.links import FaultyPort

#: who carries it out, where, what, and on which message
Effect = Callable[["Injector", "FaultyPort", Any, Any], list[Any]]


def drop(injector: "Injector", _port: "FaultyPort", _fault: plan.Drop, item: Any) -> list[Any]:
    injector.hands.let_go(item)
    return []


def duplicate(injector: "Injector", _port: "FaultyPort", _fault: plan.Duplicate, item: Any) -> list[Any]:
    return [item, injector.hands.copy(item)]


def reorder(_injector: "Injector", port: "FaultyPort", _fault: plan.Reorder, item: Any) -> list[Any]:
    port.held = item
    return []


def delay(injector: "Injector", port: "FaultyPort", fault: plan.Delay, item: Any) -> list[Any]:
    injector.later(fault.seconds, port, item)
    return []


def corrupt_bit(_injector: "Injector", _port: "FaultyPort", fault: plan.CorruptBit, item: Any) -> list[Any]:
    data = bytearray(data_of(item))
    place, bit = divmod(fault.bit % (8 * len(data)), 8)
    data[place] ^= 1 << bit
    return [with_data(item, bytes(data))]


def truncate(_injector: "Injector", _port: "FaultyPort", fault: plan.Truncate, item: Any) -> list[Any]:
    return [with_data(item, data_of(item)[: fault.size])]


def shorten_capacity(_injector: "Injector", _port: "FaultyPort", fault: plan.ShortenCapacity, item: Any) -> list[Any]:
    return [replace(item, capacity=min(item.capacity, fault.capacity))] if isinstance(item, Chain) else [item]


def split_writes(_injector: "Injector", port: "FaultyPort", fault: plan.SplitWrites, item: Any) -> list[Any]:
    assert port.writes is not None
    port.writes.size = fault.size
    return [item]


def merge_writes(_injector: "Injector", port: "FaultyPort", fault: plan.MergeWrites, item: Any) -> list[Any]:
    assert port.writes is not None
    port.writes.seconds = fault.seconds
    return [item]


# -- the host


def host_dies(injector: "Injector", _port: "FaultyPort", _fault: plan.HostDies, item: Any) -> list[Any]:
    injector.hands.let_go(item)
    injector.host_dies()
    return []


def host_hangs(injector: "Injector", port: "FaultyPort", fault: plan.HostHangs, item: Any) -> list[Any]:
    """What the host has to say it says afterwards."""
    injector.gate.shut(fault.seconds)
    if fault.answer and fault.seconds is not None:
        injector.later(fault.seconds, port, item)
    elif fault.answer:
        injector.hands.let_go(item)
    return [] if fault.answer else [item]


def refuse(injector: "Injector", _port: "FaultyPort", fault: plan.Refuse, item: Any) -> list[Any]:
    injector.hands.let_go(item)
    answer = numbered(Answer(errno=ERRNOS[fault.errno]).build(), int.from_bytes(item[0][4:8], "little"))
    if fault.answer:
        return [(answer, ())]
    injector.host_says((answer, ()))
    return []


def lie_size(_injector: "Injector", _port: "FaultyPort", fault: plan.LieSize, item: Any) -> list[Any]:
    return [_lie(item, lambda answer: replace(answer, value=fault.size))]


def lie_attribute(_injector: "Injector", _port: "FaultyPort", fault: plan.LieAttribute, item: Any) -> list[Any]:
    value = fault.value % (1 << 64)

    def lie(answer: Answer) -> Answer:
        if not answer.data:
            return replace(answer, value=value)
        return replace(answer, data=replace(DmaBufInfo.parse(answer.data), value=value).build())

    return [_lie(item, lie)]


def _lie(item: Any, lie: Callable[[Answer], Answer]) -> Any:
    """What another fault has made unreadable stays as it is."""
    try:
        return with_data(item, lie(Answer.parse(item[0])).build())
    except WireError:
        return item


def change_attribute(injector: "Injector", _port: "FaultyPort", fault: plan.ChangeAttribute, item: Any) -> list[Any]:
    injector.hands.change_attribute(fault.exporter)
    return [item]


def read_only_fd(_injector: "Injector", _port: "FaultyPort", _fault: plan.ReadOnlyFd, item: Any) -> list[Any]:
    return [(item[0], tuple(read_only(passed) for passed in item[1]))]


def short_fd(_injector: "Injector", _port: "FaultyPort", fault: plan.ShortFd, item: Any) -> list[Any]:
    return [(item[0], tuple(shortened(passed, fault.size) for passed in item[1]))]


def zero_pages(_injector: "Injector", _port: "FaultyPort", _fault: plan.ZeroPages, item: Any) -> list[Any]:
    return [(item[0], tuple(zeroed(passed) for passed in item[1]))]


def extra_fd(injector: "Injector", _port: "FaultyPort", _fault: plan.ExtraFd, item: Any) -> list[Any]:
    return [(item[0], (*item[1], *injector.hands.extra()))]


def missing_fd(injector: "Injector", _port: "FaultyPort", _fault: plan.MissingFd, item: Any) -> list[Any]:
    injector.hands.let_go(item)
    return [(item[0], ())]


# -- below and around


def call_fails(injector: "Injector", _port: "FaultyPort", fault: plan.CallFails, item: Any) -> list[Any]:
    injector.hands.fail_next(fault)
    return [item]


def clock_jumps(_injector: "Injector", _port: "FaultyPort", fault: plan.ClockJumps, item: Any) -> list[Any]:
    clock: Any = trio.lowlevel.current_clock()
    clock.jump(fault.seconds)
    return [item]


# restarting knows the machine, which knows faults


def vmm_restarts(injector: "Injector", _port: "FaultyPort", _fault: plan.VmmRestarts, item: Any) -> list[Any]:
    from vgpu_emu.restarting import restart

    injector.start(restart, injector.machine)
    return [item]


def device_resets(injector: "Injector", _port: "FaultyPort", _fault: plan.DeviceResets, item: Any) -> list[Any]:
    from vgpu_emu.restarting import rebind

    injector.start(rebind, injector.machine)
    return [item]


EFFECTS: dict[type[plan.Fault], Effect] = {
    plan.Drop: drop,
    plan.Duplicate: duplicate,
    plan.Reorder: reorder,
    plan.Delay: delay,
    plan.CorruptBit: corrupt_bit,
    plan.Truncate: truncate,
    plan.ShortenCapacity: shorten_capacity,
    plan.SplitWrites: split_writes,
    plan.MergeWrites: merge_writes,
    plan.HostDies: host_dies,
    plan.HostHangs: host_hangs,
    plan.Refuse: refuse,
    plan.LieSize: lie_size,
    plan.LieAttribute: lie_attribute,
    plan.ChangeAttribute: change_attribute,
    plan.ReadOnlyFd: read_only_fd,
    plan.ShortFd: short_fd,
    plan.ZeroPages: zero_pages,
    plan.ExtraFd: extra_fd,
    plan.MissingFd: missing_fd,
    plan.CallFails: call_fails,
    plan.ClockJumps: clock_jumps,
    plan.VmmRestarts: vmm_restarts,
    plan.DeviceResets: device_resets,
}
