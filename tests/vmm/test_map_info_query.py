"""The question that a VMM asks of a dma-buf, and the answers that it does not believe."""

from errno import EBADF, EFAULT, EINVAL, ENOSYS, ENOTTY, EPROTO

import pytest
from hand_driven import MAPPED, UNSPEC, no, says, talk, with_blob, yes
from vmm_support import map_blob

from vgpu_emu.vmm.asking import Reply
from vgpu_emu.vmm.device import Device
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.dmabuf import DmaBufInfo
from vgpu_wire.renderer_link import Answer, Ioctl, Op, ResourceQuestion


def _mapped(device: Device, replies: list[Reply]) -> tuple[int, int | None]:
    """Response type and map_info of MAP_BLOB."""
    answer, _ = talk(device, map_blob(), replies)
    info = answer.map_info if isinstance(answer, RespMapInfo) else None
    assert len(device.region) == (info is not None)
    return answer.type, info


GARBAGE = [
    pytest.param(says(0xFFFFFFFFFFFFFFDA), id="-ENOSYS as the value"),
    pytest.param(says(3), id="a word of another vocabulary"),
    pytest.param(says(0x13), id="access bits"),
    pytest.param(says(1 << 32), id="a bit above the int"),
    pytest.param(says((1 << 64) - 1), id="-1"),
    pytest.param(yes(), id="no data"),
    pytest.param(yes(size=15, data=bytes(15)), id="short data"),
    pytest.param(yes(size=17, data=bytes(17)), id="long data"),
    *[pytest.param(no(errno), id=f"errno {errno}") for errno in (ENOSYS, EINVAL, EFAULT, EBADF, EPROTO)],
]


@pytest.mark.parametrize("reply", GARBAGE)
@pytest.mark.parametrize("dialect", Dialect)
def test_answer_that_means_nothing_is_a_failure(dialect: Dialect, reply: Reply) -> None:
    assert _mapped(with_blob(dialect=dialect), [reply]) == (UNSPEC, None)
    assert _mapped(with_blob(dialect=dialect, profile="crosvm"), [reply]) == (UNSPEC, None)
    assert _mapped(with_blob(dialect=dialect, profile="qemu-virgl"), [reply]) == (MAPPED, 0)


@pytest.mark.parametrize(
    ("dialect", "value", "expected"),
    [
        (Dialect.RFC1, 0, (MAPPED, 3)),
        (Dialect.RFC1, 1, (MAPPED, 1)),
        (Dialect.RFC1, 2, (UNSPEC, None)),
        (Dialect.RFC3, 0, (UNSPEC, None)),
        (Dialect.RFC3, 1, (MAPPED, 3)),
        (Dialect.RFC3, 2, (MAPPED, 1)),
    ],
)
def test_same_number_means_another_thing_in_each_posting(
    dialect: Dialect, value: int, expected: tuple[int, int | None]
) -> None:
    assert _mapped(with_blob(dialect=dialect), [says(value)]) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (yes(value=1), (MAPPED, 1)),
        (yes(value=2), (MAPPED, 2)),
        (yes(value=3), (MAPPED, 3)),
        (yes(value=4), (UNSPEC, None)),
        (yes(value=0x13), (UNSPEC, None)),
        (yes(value=0x33), (UNSPEC, None)),
        (yes(value=(1 << 64) - 1), (UNSPEC, None)),
        (no(EINVAL), (UNSPEC, None)),
        (Reply(Answer(errno=EINVAL, value=3)), (UNSPEC, None)),
    ],
)
def test_guess_is_taken_only_if_it_is_one(reply: Reply, expected: tuple[int, int | None]) -> None:
    assert _mapped(with_blob(), [no(ENOTTY), reply]) == expected


def test_vmm_asks_the_ioctl_first_and_the_renderer_only_after_enotty() -> None:
    query = DmaBufInfo(param=1).build()
    device = with_blob()
    _, questions = talk(device, map_blob(), [no(ENOTTY), yes(value=1)])
    assert questions == [
        Ioctl(fd=10, request=0xC0106202, size=16, argument=query),
        ResourceQuestion(op=Op.GET_MAP_INFO.value, resource_id=5),
    ]
