"""The device's generator driven by hand: the test answers its questions, and is whatever renderer it likes."""

from collections.abc import Sequence
from typing import Any

from support import PAGE
from vmm_support import CAPACITY, CONTEXT, blob

from vgpu_emu.ids import Fd
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.memory import Memory, PassedFd
from vgpu_emu.trace.log import Log
from vgpu_emu.vmm.asking import Reply, Steps
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.commands import COMMANDS
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.displays import Displays
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.device import CONTROLQ
from vgpu_wire.dmabuf import DmaBufInfo
from vgpu_wire.messages import parse_message
from vgpu_wire.renderer_link import Answer, Op, Question

YES = Reply(Answer())
OK, MAPPED = CtrlType.RESP_OK_NODATA, CtrlType.RESP_OK_MAP_INFO
UNSPEC, OUT_OF_MEMORY = CtrlType.RESP_ERR_UNSPEC, CtrlType.RESP_ERR_OUT_OF_MEMORY
PARAMETER = CtrlType.RESP_ERR_INVALID_PARAMETER


def make(profile: str = "strict", dialect: Dialect = Dialect.RFC1) -> Device:
    device = Device(
        PROFILES[profile],
        HostVisibleRegion(16 * PAGE),
        GuestMemory(),
        dialect=dialect,
        log=Log(),
        commands=COMMANDS,
        displays=Displays([(1024, 768)]),
        capsets={},
    )
    assert device.negotiate(PROFILES[profile].offers)
    return device


def talk(device: Device, request: CtrlHdr, replies: Sequence[Reply]) -> tuple[CtrlHdr, list[Question]]:
    """The device's answer to a request, and its questions, which get these replies in order; each must be used."""
    answer = device.handle(Chain(0, CONTROLQ, request.build(), CAPACITY))
    questions: list[Question] = []
    left = list(replies)
    if isinstance(answer, Used):
        assert left == []
        return parse_message(answer.written), questions
    assert answer is not None
    steps = answer
    try:
        questions.append(next(steps))
        while True:
            questions.append(steps.send(left.pop(0)))
    except StopIteration as done:
        assert left == []
        return parse_message(done.value.written), questions


def asking(device: Device, request: CtrlHdr) -> Steps[Used | None]:
    """The steps of a request that has questions."""
    steps = device.handle(Chain(0, CONTROLQ, request.build(), CAPACITY))
    assert steps is not None
    assert not isinstance(steps, Used)
    return steps


def passed(*sizes: int) -> tuple[PassedFd, ...]:
    return tuple(PassedFd(Fd(10 + number), Memory(size, None)) for number, size in enumerate(sizes))


def no(errno: int) -> Reply:
    return Reply(Answer(errno=errno))


def yes(*fds: PassedFd, **members: Any) -> Reply:
    return Reply(Answer(**members), fds)


def says(value: int) -> Reply:
    """The ioctl's answer."""
    data = DmaBufInfo(param=1, value=value).build()
    return yes(size=len(data), data=data)


def with_blob(fds: tuple[PassedFd, ...] | None = None, size: int = PAGE, **options: Any) -> Device:
    """A device with context 1 and resource 5, exported as these descriptors."""
    device = make(**options)
    assert talk(device, CONTEXT, [YES])[0].type == OK
    exported = passed(PAGE) if fds is None else fds
    assert talk(device, blob(size=size), [YES, yes(*exported, value=size)])[0].type == OK
    return device


def kinds(questions: list[Question]) -> list[Op]:
    return [Op(question.op) for question in questions]
