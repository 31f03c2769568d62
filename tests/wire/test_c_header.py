"""What a C compiler makes of the kernel's own headers is what vgpu_wire says: every size, offset and number.

A newer kernel's headers are checked with VGPU_EMU_UAPI_INCLUDE=DIRECTORY, the one that holds linux/virtio_gpu.h.
"""

import re
from collections.abc import Iterator
from functools import cache

import construct
import pytest
from uapi_header import (
    DMA_BUF,
    INSTALL,
    OLDEST,
    VIRTIO_GPU,
    VIRTIO_RING,
    defines,
    evaluate,
    header_text,
    header_version,
)
from uapi_names import ALL_CONSTANTS, ALL_PROPOSED, BEHIND, CONSTANTS, NEWER, NOT_OURS, PROPOSED
from wire_structures import STRUCTURES

from vgpu_wire.layout import Leaf, Record, leaves


@pytest.fixture(autouse=True)
def _header_is_new_enough() -> None:
    if header_version() < OLDEST:
        pytest.skip(f"headers older than Linux {OLDEST[0]}.{OLDEST[1]}: {INSTALL}")


def _header_of(name: str) -> str:
    prefixes = {"dma_buf_": DMA_BUF, "vring_": VIRTIO_RING, "virtio_ring_": VIRTIO_RING}
    return next((header for prefix, header in prefixes.items() if name.lower().startswith(prefix)), VIRTIO_GPU)


def _is_there(name: str) -> bool:
    return name == "VIRTIO_ID_GPU" or defines(_header_of(name), name)


@cache
def _missing() -> set[str]:
    """The names of ours that the header lacks, other than the proposed ones: constants, structures, members."""
    names = {*ALL_CONSTANTS, *STRUCTURES}
    for name, cls in STRUCTURES.items():
        if _is_there(name):
            names |= {f"{name}.{member.name}" for member in cls.layout.members} - BEHIND
    return {name for name in names if name not in ALL_PROPOSED and not _is_there(name)}


def _prologue() -> str:
    return "\n".join(text for text, names in PROPOSED.items() if not any(map(_is_there, names)))


def _member_expressions(structure: str, path: str, offset: int, size: int) -> Iterator[tuple[str, int]]:
    yield f"offsetof(struct {structure}, {path})", offset
    yield f"sizeof(((struct {structure} *)0)->{path})", size


def _leaf_expressions(structure: str, leaf: Leaf) -> Iterator[tuple[str, int]]:
    member = leaf.member
    yield from _member_expressions(structure, leaf.path, leaf.offset, member.size)
    if isinstance(member.term, construct.FormatField):
        is_signed = member.term.fmtstr[-1].islower()
        yield f"(__typeof__(((struct {structure} *)0)->{leaf.path}))-1 < 0", int(is_signed)
    if isinstance(member.term, construct.Array):
        size = member.term.subcon.sizeof()
        for index in range(member.term.count):
            yield from _member_expressions(structure, f"{leaf.path}[{index}]", leaf.offset + index * size, size)


def _expressions(cls: type[Record], missing: set[str]) -> Iterator[tuple[str, int]]:
    """A structure's facts as C expressions, and what we say that they are."""
    layout = cls.layout
    absent = [member for member in layout.members if f"{layout.name}.{member.name}" in missing]
    yield f"sizeof(struct {layout.name})", layout.size - sum(member.size for member in absent)
    for member in layout.members:
        if not member.tail and member not in absent:
            yield from _member_expressions(layout.name, member.name, member.offset, member.size)
        elif member.tail and f"{layout.name}.{member.name}" not in BEHIND:
            yield f"offsetof(struct {layout.name}, {member.name})", layout.size
            yield f"sizeof(((struct {layout.name} *)0)->{member.name}[0])", member.size
    for leaf in leaves(cls):
        if leaf.member not in absent:
            yield from _leaf_expressions(layout.name, leaf)


@cache
def _answers() -> dict[str, int]:
    """One C program that answers every question of this file."""
    missing = _missing()
    questions = [name for name in ALL_CONSTANTS if name not in missing]
    for name, cls in STRUCTURES.items():
        if name not in missing:
            questions += [expression for expression, _ in _expressions(cls, missing)]
    return evaluate(tuple(dict.fromkeys(questions)), _prologue())


@pytest.mark.parametrize("name", STRUCTURES)
def test_structure_has_the_layout_that_the_compiler_gives_it(name: str) -> None:
    if name in _missing():
        assert name in NEWER
        return
    ours = dict(_expressions(STRUCTURES[name], _missing()))
    assert ours == {expression: _answers()[expression] for expression in ours}


@pytest.mark.parametrize("group", CONSTANTS)
def test_constants_have_the_numbers_of_the_header(group: str) -> None:
    ours = {name: number for name, number in CONSTANTS[group].items() if name not in _missing()}
    assert ours == {name: _answers()[name] for name in ours}


def test_header_lacks_nothing_but_what_is_listed_as_newer() -> None:
    assert _missing() <= set(NEWER)


@pytest.mark.parametrize("name", NEWER, ids=lambda name: f"{name} since Linux {NEWER[name][0]}.{NEWER[name][1]}")
def test_only_an_older_header_lacks(name: str) -> None:
    structure, _, member = name.partition(".")
    assert name in ALL_CONSTANTS or member in {"", *(m.name for m in STRUCTURES[structure].layout.members)}
    assert name not in _missing() or header_version() < NEWER[name]


@pytest.mark.parametrize(
    ("header", "prefix"),
    [(VIRTIO_GPU, "VIRTIO_GPU_"), (DMA_BUF, "DMA_BUF_"), (VIRTIO_RING, "VIRTIO_RING_F_"), (VIRTIO_RING, "VRING_")],
)
def test_every_number_of_the_header_is_known_here(header: str, prefix: str) -> None:
    names = set(re.findall(rf"\b{prefix}\w+", header_text(header)))
    assert names
    assert names - set(ALL_CONSTANTS) <= set(NOT_OURS)


@pytest.mark.parametrize(
    ("header", "prefix"), [(VIRTIO_GPU, "virtio_gpu_"), (DMA_BUF, "dma_buf_"), (VIRTIO_RING, "vring_")]
)
def test_every_structure_of_the_header_is_known_here(header: str, prefix: str) -> None:
    names = set(re.findall(rf"\bstruct\s+({prefix}\w+)\s*{{", header_text(header)))
    assert names
    assert names - set(STRUCTURES) <= set(NOT_OURS)


@pytest.mark.parametrize("name", sorted(BEHIND))
def test_what_follows_a_structure_is_no_member_of_it(name: str) -> None:
    structure, _, member = name.partition(".")
    tail = STRUCTURES[structure].layout.tail
    assert tail is not None
    assert tail.name == member
    assert not defines(VIRTIO_GPU, name)


def test_nothing_is_excused_that_is_ours() -> None:
    assert not set(NOT_OURS) & {*ALL_CONSTANTS, *STRUCTURES}
