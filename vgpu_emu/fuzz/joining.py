"""Contexts of a program that fails, and their command streams: fewer of them, and shorter ones."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from vgpu_emu.fuzz.actions import Program, Send, Step
from vgpu_wire.context_stream import stream_commands
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.errors import WireError
from vgpu_wire.render import CmdSubmit

_CREATE, _SUBMIT = (number.value.to_bytes(4, "little") for number in (CtrlType.CTX_CREATE, CtrlType.SUBMIT_3D))
_HEADER, _STREAM_AT = CtrlHdr.layout.size, CmdSubmit.layout.size
#: where a request has its ctx_id
_CTX = slice(16, 20)


def with_one_context(program: Program) -> Iterator[Program]:
    """Without one of the contexts, another of which has what it had."""
    created = [(place, _context(step)) for place, step in enumerate(program.steps) if _request(step, _CREATE)]
    for _place, kept in created:
        for place, other in created:
            if kept != other:
                steps = (*program.steps[:place], *program.steps[place + 1 :])
                yield Program(program.setup, tuple(_moved(step, other, kept) for step in steps))


def _request(step: Step, number: bytes) -> bytes:
    """The bytes of a step that is this request; empty: it is not."""
    return step.data if isinstance(step, Send) and step.data[:4] == number and len(step.data) >= _HEADER else b""


def _context(step: Step) -> bytes:
    return step.data[_CTX] if isinstance(step, Send) and len(step.data) >= _HEADER else b""


def _moved(step: Step, other: bytes, kept: bytes) -> Step:
    """A request of one context as one of another."""
    if not isinstance(step, Send) or _context(step) != other:
        return step
    return replace(step, data=step.data[: _CTX.start] + kept + step.data[_CTX.stop :])


def with_one_stream(program: Program) -> Iterator[Program]:
    """With the command streams of a context in one, where the first of them is."""
    steps = program.steps
    for first in range(len(steps)):
        later = next((second for second in range(first + 1, len(steps)) if _both(steps, first, second)), None)
        if later is not None:
            yield _with_both(program, first, later)


def _stream(step: Step) -> bytes:
    """The context and the stream of a SUBMIT_3D; empty: it is none."""
    data = _request(step, _SUBMIT)
    return data if len(data) >= _STREAM_AT else b""


def _both(steps: Sequence[Step], first: int, second: int) -> bool:
    one, other = _stream(steps[first]), _stream(steps[second])
    return bool(one) and one[_CTX] == other[_CTX]


def _with_both(program: Program, first: int, second: int) -> Program:
    one, other = program.steps[first], program.steps[second]
    assert isinstance(one, Send)
    stream = one.data[_STREAM_AT:] + _stream(other)[_STREAM_AT:]
    between = program.steps[first + 1 : second] + program.steps[second + 1 :]
    return Program(program.setup, (*program.steps[:first], _with_stream(one, stream), *between))


def _with_stream(send: Send, stream: bytes) -> Send:
    return replace(send, data=send.data[:_HEADER] + len(stream).to_bytes(4, "little") + bytes(4) + stream)


def with_shorter_stream(program: Program) -> Iterator[Program]:
    """Without one of the commands of a stream, from the last stream on."""
    for place in reversed(range(len(program.steps))):
        step = program.steps[place]
        for stream in _shorter(_stream(step)[_STREAM_AT:]):
            assert isinstance(step, Send)
            shorter = _with_stream(step, stream)
            yield Program(program.setup, (*program.steps[:place], shorter, *program.steps[place + 1 :]))


def _shorter(stream: bytes) -> Iterator[bytes]:
    """Of bytes that are no stream there is none."""
    try:
        commands = [command.build() for command in stream_commands(stream)]
    except WireError:
        return
    for place in range(len(commands)):
        yield b"".join(commands[:place] + commands[place + 1 :])
