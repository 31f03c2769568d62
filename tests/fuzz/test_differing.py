"""Other VMMs: what they are known to do differently is no finding, and what they are not known to do is one."""

from random import Random

import pytest
from engine_defects import CachedForAll

from vgpu_emu.fuzz.actions import Program, Send
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.trial import Conditions, Found, explore, run
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_wire.control import CtrlType
from vgpu_wire.render import CtxCreate


def found(profile: str, programs: int, defects: tuple[type, ...] = ()) -> set[Found]:
    conditions = Conditions(profile=PROFILES[profile], defects=defects)
    swarms = [Swarm(Random(f"{profile}/{number}")) for number in range(programs)]
    return {each for swarm in swarms if (each := explore(swarm, swarm.setup, 20, conditions).found)}


@pytest.mark.parametrize("profile", PROFILES)
def test_known_difference_is_no_finding(profile: str) -> None:
    assert found(profile, 60) == set()


@pytest.mark.parametrize("profile", ["crosvm", "qemu-rutabaga"])
def test_wrong_attribute_is_found_behind_any_vmm(profile: str) -> None:
    assert "I1" in {each.oracle for each in found(profile, 400, (CachedForAll,))}


def test_known_difference_is_one_in_a_request_with_bytes_behind_it() -> None:
    # capset 3, of which this VMM looks at the lowest bit
    request = CtxCreate(type=CtrlType.CTX_CREATE.value, ctx_id=3, context_init=3).build()
    program = Program(Setup(), (Send(request + bytes(8)),))
    assert run(program).found is None
    assert run(program, Conditions(profile=PROFILES["vhost-device-gpu"])).found is None
