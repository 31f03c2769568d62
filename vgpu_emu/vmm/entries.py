"""What a VMM does with a request, looked up by its first four bytes: made once for all devices of a profile."""

from collections.abc import Callable, Mapping
from functools import lru_cache

from vgpu_emu.vmm.command import OK, Command, Handler
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.rules import Rule
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.device import CURSORQ, Feature
from vgpu_wire.messages import MESSAGES

#: the bytes of RESP_OK_NODATA
DONE = OK.build()
#: a command, taken apart for `Device.handle`: its parse, handler, gate and queue; the bytes of its answer if that is
#: RESP_OK_NODATA without a fence
Entry = tuple[Callable[[bytes], CtrlHdr], Handler, Rule, int, bytes]
#: requests that need a feature, by their first four bytes
Needs = frozenset[tuple[bytes, Feature]]
#: (profile, commands, entries, needs) of the latest device: a fuzzer makes thousands of one profile, one by one
_latest: list[tuple[Profile, Mapping[CtrlType, Command], dict[bytes, Entry], Needs]] = []


def tables(profile: Profile, commands: Mapping[CtrlType, Command]) -> tuple[dict[bytes, Entry], Needs]:
    """What this VMM does with a request, by its first four bytes, and which of them need a feature."""
    if not (_latest and _latest[0][0] is profile and _latest[0][1] is commands):
        known = {
            number.value.to_bytes(4, "little"): (number, command)
            for number, command in commands.items()
            if number not in profile.lacks and number not in profile.dead_commands
        }
        entries = {key: _entry(profile, number, command) for key, (number, command) in known.items()}
        needs = frozenset((key, command.feature) for key, (_, command) in known.items() if command.feature is not None)
        _latest[:] = [(profile, commands, entries, needs)]
    _profile, _commands, entries, needs = _latest[0]
    return entries.copy(), needs


@lru_cache
def closed(needs: Needs, features: frozenset[Feature]) -> frozenset[bytes]:
    """Requests that lack the feature that they need, by their first four bytes: of a few combinations."""
    return frozenset(key for key, needed in needs if needed not in features)


def _entry(profile: Profile, number: CtrlType, command: Command) -> Entry:
    done = DONE if profile.cursor_answers or command.queue != CURSORQ else b""
    return MESSAGES[number].parse, command.handler, command.gate, command.queue, done
