"""What a response to a command means, which check of which VMM answers it, and how it comes to that."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vgpu_emu.trace.meanings import COMMANDS, RESPONSES
from vgpu_emu.trace.vmm_checks import LACKS, LACKS_LOOK, PANICS, VMMS, Check
from vgpu_emu.trace.vmm_checks_2d import DISPLAY, FRAMING, RESOURCES
from vgpu_emu.trace.vmm_checks_3d import BLOBS, CONTEXTS
from vgpu_wire.control import FIRST_ERROR
from vgpu_wire.control import CtrlType as T
from vgpu_wire.layout import leaves
from vgpu_wire.messages import MESSAGES, OK_RESPONSE, type_name
from vgpu_wire.private import CROSVM_RESP_OK_RESOURCE_PLANE_INFO

CHECKS: tuple[Check, ...] = (*BLOBS, *CONTEXTS, *RESOURCES, *DISPLAY, *FRAMING)


#: commands whose header names the context
_IN_A_CONTEXT = {
    T.CTX_CREATE,
    T.CTX_DESTROY,
    T.CTX_ATTACH_RESOURCE,
    T.CTX_DETACH_RESOURCE,
    T.TRANSFER_TO_HOST_3D,
    T.TRANSFER_FROM_HOST_3D,
    T.SUBMIT_3D,
    T.RESOURCE_CREATE_BLOB,
}
_CREATES = {T.RESOURCE_CREATE_2D, T.RESOURCE_CREATE_3D, T.RESOURCE_CREATE_BLOB}

_KNOWN = frozenset(int(number) for number in T)
_CUT_OFF = (
    "QEMU says so when the request ends before its structure does: it logs that (-d guest_errors) and does nothing."
)
_MIXED_UP = (
    "An answer to another command: compare the order of the queue, and fence_id and ctx_id of both headers. Or a "
    "device, or a tool between, that is broken."
)


class Failed(NamedTuple):
    """A check of a VMM that failed."""

    vmm: str
    check: str


class Explanation(NamedTuple):
    meaning: str
    checks: list[Failed]
    causes: list[str]


def explain(response: int | None, command: int | None) -> Explanation:
    """Explain a response (a number from FIRST_RESPONSE on) to a command; one of them may be unknown, None."""
    if response is None:
        assert command is not None, "nothing to explain"
        return Explanation(_about_command(command), [*_checks(None, command), *_panics(command)], [])
    if command is None:
        looks = [_look(response)] if response >= FIRST_ERROR else []
        return Explanation(_about_response(response), list(_checks(response, None)), looks)
    if response < FIRST_ERROR:
        return _success(response, command)
    checks = list(_checks(response, command))
    causes = [*_looks(response, command), *_odd(response, command, bool(checks)), _look(response)]
    return Explanation(f"{_about_response(response)} {_about_command(command)}", checks, list(dict.fromkeys(causes)))


def success_of(command: int) -> int:
    """The response type that says that the command worked."""
    return int(OK_RESPONSE.get(command, T.RESP_OK_NODATA))


def _success(response: int, command: int) -> Explanation:
    right = success_of(command)
    if response == right:
        meaning = f"Success: the device says that it carried out {type_name(command)}."
        return Explanation(meaning, list(_silences(command)), [])
    if response == CROSVM_RESP_OK_RESOURCE_PLANE_INFO and command in _CREATES:
        meaning = "Success, in crosvm's own words: RESOURCE_PLANE_INFO, with the layout of the image. Not in the spec."
        return Explanation(meaning, [], [])
    meaning = f"It never answers {type_name(command)} in the spec: success is {title(right)}, errors start at 0x1200."
    if command == T.RESOURCE_MAP_BLOB:
        meaning += " Linux takes it as a failure: it maps after RESP_OK_MAP_INFO only."
    cut = [_CUT_OFF] if response == T.RESP_OK_NODATA and command in COMMANDS else []
    return Explanation(f"{_about_response(response)} {meaning}", [], [*cut, _MIXED_UP])


def title(number: int) -> str:
    """``RESOURCE_MAP_BLOB (0x208)``, of an unknown type the number."""
    return f"{type_name(number)} ({number:#x})" if number in _KNOWN else f"{number:#x}"


def _about_response(response: int) -> str:
    known = RESPONSES.get(response)
    if known is not None:
        return known.means
    if response >= FIRST_ERROR:
        return f"The spec has no such error. Linux takes everything from {FIRST_ERROR:#x} on as one."
    if response == CROSVM_RESP_OK_RESOURCE_PLANE_INFO:
        return "crosvm's own RESOURCE_PLANE_INFO: the success of a command that creates a resource."
    if response not in MESSAGES:
        return "The spec has no such response."
    if response == T.RESP_OK_NODATA:
        return f"Success of every command that gets no data back: all but {', '.join(map(type_name, OK_RESPONSE))}."
    return f"Success of {', '.join(type_name(command) for command, ok in OK_RESPONSE.items() if ok == response)}."


def _about_command(command: int) -> str:
    known = COMMANDS.get(command)
    if known is None:
        return f"The spec has no command {command:#x}."
    needs = f" It needs F_{known.needs.name}." if known.needs is not None else ""
    return f"{type_name(command)} {known.does}; success is {title(success_of(command))}.{needs} {known.after}"


def _rows(command: int) -> Iterator[tuple[str, Check]]:
    """What each VMM looks at."""
    for vmm in VMMS:
        if command not in LACKS.get(vmm, ()) and command not in PANICS.get(vmm, ()):
            yield from ((vmm, check) for check in CHECKS if command in check.commands)


def _checks(response: int | None, command: int | None) -> Iterator[Failed]:
    """The failing checks with this answer; of all, with the half that was not given."""
    for each in [command] if command is not None else COMMANDS:
        before = f"{type_name(each)}: " if command is None else ""
        for vmm, answer, wrong in _answers(each):
            if answer >= FIRST_ERROR and response in {None, answer}:
                after = f": {type_name(answer)}" if response is None else ""
                yield Failed(vmm, f"{before}{wrong}{after}")


def _answers(command: int) -> Iterator[tuple[str, int, str]]:
    """Everything that a VMM can answer because something is wrong: VMM, answer, what is wrong."""
    if command not in COMMANDS:
        yield from ((vmm, T.RESP_ERR_UNSPEC, "no command has this type") for vmm in VMMS)
        return
    for vmm in VMMS:
        if command in LACKS.get(vmm, ()):
            yield vmm, T.RESP_ERR_UNSPEC, "it does not have this command"
    for vmm, check in _rows(command):
        answer = check.of(vmm)
        if answer is not None:
            yield vmm, answer[0], f"{check.wrong}: {answer[1]}" if answer[1] else check.wrong


def _panics(command: int) -> Iterator[Failed]:
    return (Failed(vmm, "no answer: it ends with a panic") for vmm in VMMS if command in PANICS.get(vmm, ()))


def _silences(command: int) -> Iterator[Failed]:
    """What is wrong and all the same answered with success."""
    for vmm, answer, wrong in _answers(command):
        if answer == T.RESP_OK_NODATA:
            yield Failed(vmm, f"success although {wrong}")


def _looks(response: int, command: int) -> Iterable[str]:
    looks = [LACKS_LOOK for vmm in VMMS if command in LACKS.get(vmm, ()) and response == T.RESP_ERR_UNSPEC]
    answered = [check for vmm, check in _rows(command) if (check.of(vmm) or (None,))[0] == response]
    return [check.look for check in CHECKS if check in answered] + looks


def _odd(response: int, command: int, expected: bool) -> Iterator[str]:
    """What to think of an answer that no known VMM gives, or of a command that nobody knows."""
    if command not in COMMANDS:
        yield "A driver that is newer than the device, or bytes that are no command: vgpu-emu decode shows them."
    elif not expected:
        yield f"None of {', '.join(VMMS)} is known to answer this: another VMM, a newer version, or its renderer."
        about, members = RESPONSES[response].about if response in RESPONSES else None, _members(command)
        if about is not None and not about[1].intersection(members):
            yield f"{type_name(command)} names no {about[0]}, so this is strange. {_MIXED_UP}"
        elif members:
            yield f"What can be wrong in the command: {', '.join(members)}."


def _members(command: int) -> list[str]:
    """The members of a command that mean something."""
    structure = MESSAGES[T(command)]
    header = ["ctx_id"] if command in _IN_A_CONTEXT else []
    body = [leaf.path for leaf in leaves(structure) if not leaf.path.startswith("hdr.") and leaf.path != "padding"]
    return header + body + ([structure.layout.tail.name] if structure.layout.tail else [])


def _look(response: int) -> str:
    return RESPONSES[response].look if response in RESPONSES else _MIXED_UP
