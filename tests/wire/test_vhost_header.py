"""vhost-user's structures: those it shares with the kernel's vhost are what a C compiler makes of the header.

The others are defined by QEMU's documentation only; test_vhost_user_bytes.py has bytes that QEMU sent.
"""

import pytest
from uapi_header import evaluate, header_path

from vgpu_wire.layout import Record, leaves
from vgpu_wire.vhost_user import MemoryRegion, VringAddr, VringFlag, VringState

HEADER = "linux/vhost_types.h"
PROLOGUE = f"#include <{HEADER}>"
SHARED: dict[str, type[Record]] = {"vhost_vring_state": VringState, "vhost_vring_addr": VringAddr}


@pytest.mark.parametrize("name", SHARED)
def test_structure_has_the_layout_that_the_compiler_gives_it(name: str) -> None:
    header_path(HEADER)
    ours = {f"sizeof(struct {name})": SHARED[name].layout.size}
    ours |= {f"offsetof(struct {name}, {leaf.path})": leaf.offset for leaf in leaves(SHARED[name])}
    ours |= {f"sizeof(((struct {name} *)0)->{leaf.path})": leaf.member.size for leaf in leaves(SHARED[name])}
    assert ours == evaluate(tuple(ours), PROLOGUE)


def test_memory_region_starts_like_that_of_the_kernel() -> None:
    header_path(HEADER)
    members = ("guest_phys_addr", "memory_size", "userspace_addr")
    ours = {f"offsetof(struct vhost_memory_region, {leaf.path})": leaf.offset for leaf in leaves(MemoryRegion)}
    ours = {question: offset for question, offset in ours.items() if question.rstrip(")").endswith(members)}
    assert len(ours) == 3
    assert ours == evaluate(tuple(ours), PROLOGUE)


def test_log_flag_is_the_bit_whose_number_the_header_has() -> None:
    header_path(HEADER)
    assert evaluate(("1 << VHOST_VRING_F_LOG",), PROLOGUE) == {"1 << VHOST_VRING_F_LOG": VringFlag.LOG.value}
