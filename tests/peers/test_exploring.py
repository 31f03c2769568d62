"""A device explored: every condition asked about once, over crashes, hangs and connections that do not come back."""

from collections.abc import Callable

import pytest
import trio
from lying_backend import Backend, Carry, OurDevice

from vgpu_emu.drive.answer import Answer
from vgpu_emu.drive.comparing import compare
from vgpu_emu.drive.exploring import Findings, explore
from vgpu_emu.link.chain import Chain
from vgpu_emu.link.device_queue import DeviceQueue
from vgpu_emu.peers.front.errors import DeviceError
from vgpu_emu.peers.front.machine import FrontConfig
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_wire.device import Feature
from vgpu_wire.render import GetCapset

pytestmark = pytest.mark.usefixtures("nothing_left")
#: the request of one condition, and of no other
FATAL, UNKNOWN = "GET_CAPSET unknown", GetCapset(capset_id=60).build()


async def explored(source: OurDevice) -> Findings:
    return await explore(source, FrontConfig(), lambda _done, _total: None)


def answer(found: Findings, name: str) -> Answer:
    return next(answer for condition, answer in found.answers if condition.name == name)


async def test_our_device_answers_as_strict_says(autojump_clock: trio.testing.MockClock) -> None:
    found = await explored(OurDevice())
    assert found.failures == []
    assert found.hardware.features == {*Feature}
    assert found.displays == [(1024, 768)]
    assert len(found.answers) + len(found.skipped) > 135
    strict, *_, last = compare(found, PROFILES.values())
    assert (strict.profile, strict.differences) == ("strict", [])
    assert last.same < strict.same


def failing(how: Callable[[Backend], None]) -> Carry:
    """Fail at the fatal request, else answer."""

    def carry(backend: Backend, queue: DeviceQueue, chains: list[Chain]) -> None:
        if any(chain.readable == UNKNOWN for chain in chains):
            how(backend)
        else:
            backend.answer(queue, chains)

    return carry


@pytest.mark.parametrize(
    ("how", "word", "says"),
    [
        (lambda backend: backend.stream.close(), "died", "the device closed the connection: "),
        (lambda _backend: None, "no answer", "the device does not answer: no answer in 5 s"),
    ],
)
async def test_device_that_fails_is_opened_again_and_the_rest_is_asked(
    autojump_clock: trio.testing.MockClock, how: Callable[[Backend], None], word: str, says: str
) -> None:
    whole = OurDevice()
    all_names = [condition.name for condition, _ in (await explored(whole)).answers]
    source = OurDevice(failing(how))
    found = await explored(source)
    assert [condition.name for condition, _ in found.answers] == all_names
    assert [failure.condition for failure in found.failures] == [FATAL]
    assert found.failures[0].error.startswith(says)
    assert found.failures[0].error.endswith(", after GET_CAPSET")
    assert answer(found, FATAL).word == word
    assert source.opened == whole.opened + 1


async def test_device_that_does_not_come_back_leaves_the_rest_unasked(autojump_clock: trio.testing.MockClock) -> None:
    found = await explored(OurDevice(failing(lambda backend: backend.stream.close()), most=2))
    assert [failure.condition for failure in found.failures] == [FATAL]
    assert found.skipped["MAP unknown"] == "nothing answers at the socket: it is not there"
    assert len({condition.name for condition, _ in found.answers} | set(found.skipped)) > 135


async def test_device_that_is_not_there_is_an_error(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(DeviceError, match="it is not there"):
        await explored(OurDevice(most=0))
