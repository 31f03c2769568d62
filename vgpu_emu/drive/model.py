"""The same conditions on our device, under a profile: what the VMM that is modelled is said to answer."""

import msgspec

from vgpu_emu.assembly import Config, size_only
from vgpu_emu.drive.answer import DIED, NO_ANSWER, Answer, answer_of, is_error
from vgpu_emu.drive.asking import ROOM, queue_of
from vgpu_emu.drive.conditions import Condition
from vgpu_emu.link.chain import Chain
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.vmm.command import Capset
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.rules import Rule
from vgpu_wire.device import FEATURE_NEEDS, Feature
from vgpu_wire.messages import type_name

#: seconds after which every fence of a condition has been signalled
_LONG = 60.0


class Hardware(msgspec.Struct, frozen=True):
    """What a device has beside its answers. features: offered. capsets: id, version, bytes. host_visible: bytes."""

    features: frozenset[Feature]
    scanouts: tuple[tuple[int, int], ...]
    capsets: tuple[tuple[int, int, int], ...] = ()
    host_visible: int = 0


class Predicted(msgspec.Struct, frozen=True):
    """verified: False: the profile's answer was decided here, nobody had seen or read it."""

    answer: Answer
    verified: bool = True


def predict(profile: Profile, condition: Condition, hardware: Hardware) -> Predicted:
    """What our device answers to the condition's request, made as new before it."""
    accepted = condition.features(hardware.features) & profile.offers
    config = Config(
        profile=profile,
        features=frozenset(f for f in accepted if FEATURE_NEEDS.get(f, f) in accepted),
        scanouts=hardware.scanouts,
        capsets={number: Capset(version, bytes(size)) for number, version, size in hardware.capsets},
        host_visible=hardware.host_visible,
        guest_memory=1 << 20,
        backing=size_only,
    )
    with Lockstep(config) as machine:
        blocked = ""
        for number, request in enumerate(condition.before):
            answer = _send(machine, number, request.build())
            if is_error(answer) and not blocked:
                blocked = f"{type_name(request.type)}: {answer.word}"
        answer = _send(machine, -1, condition.request, condition.queue, blocked)
        return Predicted(answer, not _broken(machine) & profile.unverified)


def _send(machine: Lockstep, head: int, request: bytes, queue: int | None = None, blocked: str = "") -> Answer:
    queue = queue_of(request) if queue is None else queue
    used = machine.submit(Chain(head, queue, request, ROOM))
    if used is None:
        used = next((each for each in machine.advance(_LONG) if each.head == head), None)
    if used is None:
        return Answer(DIED if machine.parts.device.dead else NO_ANSWER, blocked=blocked)
    return answer_of(used.written, blocked)


def _broken(machine: Lockstep) -> set[Rule]:
    """The rules that the last request has broken."""
    events = machine.log.events
    last = max(index for index, event in enumerate(events) if getattr(event, "sender", "") == "guest")
    names = {getattr(event, "values", {}).get("rule") for event in events[last:]}
    return {rule for rule in Rule if rule.name in names}
