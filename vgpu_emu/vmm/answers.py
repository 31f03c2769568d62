"""What a profile answers, command by command and in words: for tables, comparisons and JSON."""

from typing import Any, NamedTuple

import msgspec

from vgpu_emu.vmm.profiles import DEAD, Profile, Verdict
from vgpu_emu.vmm.rules import UNCHECKED, Rule
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.layout import to_fields
from vgpu_wire.messages import type_name

_T = CtrlType
#: from this rule on, the commands that can break it; none: any command can
_COMMANDS: dict[Rule, tuple[CtrlType, ...]] = {
    Rule.HEADER_WHOLE: (),
    Rule.RESOURCE_LIMIT: (_T.RESOURCE_CREATE_2D, _T.RESOURCE_CREATE_3D, _T.RESOURCE_CREATE_BLOB),
    Rule.HOST_MEMORY_LIMIT: (_T.RESOURCE_CREATE_2D, _T.RESOURCE_CREATE_3D),
    Rule.UNREF_KNOWN: (_T.RESOURCE_UNREF,),
    Rule.UUID_NEGOTIATED: (_T.RESOURCE_ASSIGN_UUID,),
    Rule.ATTACH_KNOWN: (_T.RESOURCE_ATTACH_BACKING,),
    Rule.ENTRIES_LIMIT: (_T.RESOURCE_ATTACH_BACKING, _T.RESOURCE_CREATE_BLOB),
    Rule.DETACH_KNOWN: (_T.RESOURCE_DETACH_BACKING,),
    Rule.TRANSFER_KNOWN: (_T.TRANSFER_TO_HOST_2D, _T.TRANSFER_TO_HOST_3D, _T.TRANSFER_FROM_HOST_3D),
    Rule.SCANOUT_KNOWN: (_T.SET_SCANOUT, _T.SET_SCANOUT_BLOB),
    Rule.SCANOUT_FORMAT: (_T.SET_SCANOUT_BLOB,),
    Rule.FLUSH_ID_NONZERO: (_T.RESOURCE_FLUSH,),
    Rule.EDID_SCANOUT_KNOWN: (_T.GET_EDID,),
    Rule.CURSOR_SCANOUT_KNOWN: (_T.UPDATE_CURSOR, _T.MOVE_CURSOR),
    Rule.CAPSET_INDEX_VALID: (_T.GET_CAPSET_INFO,),
    Rule.CAPSET_KNOWN: (_T.GET_CAPSET,),
    Rule.CTX_CREATE_ID_FREE: (_T.CTX_CREATE,),
    Rule.CTX_KNOWN: (_T.CTX_DESTROY, _T.CTX_ATTACH_RESOURCE, _T.CTX_DETACH_RESOURCE),
    Rule.SUBMIT_CTX_KNOWN: (_T.SUBMIT_3D,),
    Rule.BLOB_NEGOTIATED: (_T.RESOURCE_CREATE_BLOB, _T.SET_SCANOUT_BLOB),
    Rule.CREATE_BLOB_ID_NONZERO: (_T.RESOURCE_CREATE_BLOB,),
    Rule.MAP_KNOWN: (_T.RESOURCE_MAP_BLOB,),
    Rule.UNMAP_KNOWN: (_T.RESOURCE_UNMAP_BLOB,),
    Rule.RENDERER_ACCEPTS: (),
}
_SHORT: dict[Verdict, str] = {
    _T.RESP_OK_NODATA: "OK",
    _T.RESP_ERR_UNSPEC: "UN",
    _T.RESP_ERR_OUT_OF_MEMORY: "OOM",
    _T.RESP_ERR_INVALID_SCANOUT_ID: "SC",
    _T.RESP_ERR_INVALID_RESOURCE_ID: "RID",
    _T.RESP_ERR_INVALID_CONTEXT_ID: "CTX",
    _T.RESP_ERR_INVALID_PARAMETER: "PAR",
    UNCHECKED: "-",
    DEAD: "dead",
}


class Answer(NamedTuple):
    """How a VMM answers a broken rule. None: the request is completed without a byte."""

    verdict: Verdict | None
    verified: bool

    @property
    def short(self) -> str:
        """``UN`` for RESP_ERR_UNSPEC and so on; ``-``: not checked; ``none``; ``dead``."""
        if self.verdict is None:
            return "none"
        return "OK" if isinstance(self.verdict, CtrlHdr) else _SHORT[self.verdict]

    @property
    def word(self) -> str:
        """``RESP_ERR_UNSPEC`` and so on, with the members of an answer that has some."""
        if self.verdict is None:
            return "no bytes"
        if isinstance(self.verdict, CtrlHdr):
            fields = {name: value for name, value in to_fields(self.verdict).items() if name not in {"hdr", "padding"}}
            return f"{type_name(self.verdict.type)} {' '.join(f'{name} {value:#x}' for name, value in fields.items())}"
        return self.verdict.name if isinstance(self.verdict, CtrlType) else str(self.verdict.value)


def groups() -> list[tuple[tuple[CtrlType, ...], list[Rule]]]:
    """All rules in their order, by the commands that can break them."""
    found: list[tuple[tuple[CtrlType, ...], list[Rule]]] = []
    for rule in Rule:
        if rule in _COMMANDS:
            found.append((_COMMANDS[rule], []))
        found[-1][1].append(rule)
    return found


def answers(profile: Profile) -> dict[Rule, Answer]:
    """Every rule's answer. A VMM without the command answers as to an unknown one; one that panics at it is dead."""
    return {rule: _answer(profile, commands, rule) for commands, rules in groups() for rule in rules}


def _answer(profile: Profile, commands: tuple[CtrlType, ...], rule: Rule) -> Answer:
    there = [command for command in commands if command not in profile.lacks]
    verified = rule not in profile.unverified
    if commands and not there:
        return Answer(profile.verdict(Rule.COMMAND_KNOWN), True)
    if there and profile.dead_commands.issuperset(there):
        return Answer(DEAD, True)
    if there and not profile.cursor_answers and there[0] >= _T.UPDATE_CURSOR:
        return Answer(None, verified)
    return Answer(profile.verdict(rule), verified)


def behaviour(profile: Profile) -> dict[str, Any]:
    """What else there is to a profile, as plain values."""
    plain = {field.name: getattr(profile, field.name) for field in msgspec.structs.fields(Profile)}
    for name in ("name", "models", "differs", "unverified"):
        del plain[name]
    return {name: _plain(value) for name, value in plain.items()}


def _plain(value: Any) -> Any:
    return [member.name for member in sorted(value, key=_order)] if isinstance(value, frozenset) else value


_RULES = {rule: index for index, rule in enumerate(Rule)}


def _order(member: Any) -> int:
    return _RULES[member] if isinstance(member, Rule) else int(member)
