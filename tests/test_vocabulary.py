"""The vocabularies are types of their own, and no arrow between them is a number that passes through unchanged."""

from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

import pytest

from vgpu_emu.vocabulary import (
    Dialect,
    HostAttribute,
    Pgprot,
    conflicts,
    map_cache_from_ioctl,
    map_cache_from_map_info,
    map_cache_from_vm_prot,
    map_info_from_host,
    pgprot_from_map_info,
    vm_prot_from_host,
)
from vgpu_wire.blob import MapCache
from vgpu_wire.dmabuf import DmaBufMapInfo, VmProt

H, P = HostAttribute, Pgprot


@pytest.mark.parametrize("words", [VmProt, DmaBufMapInfo, MapCache, HostAttribute, Pgprot])
def test_word_is_no_number_and_equals_no_other_word(words: type[VmProt]) -> None:
    assert not issubclass(words, int | IntEnum | IntFlag)
    others: list[object] = [*VmProt, *DmaBufMapInfo, *MapCache, *HostAttribute, *Pgprot, *range(4)]
    for word in words:
        assert [other for other in others if other == word] == [word]


def test_first_posting_becomes_virtio_gpu() -> None:
    assert {word: map_cache_from_vm_prot(word) for word in VmProt} == {
        VmProt.WC: MapCache.WC,
        VmProt.CACHED: MapCache.CACHED,
    }


def test_third_posting_becomes_virtio_gpu() -> None:
    assert {word: map_cache_from_map_info(word) for word in DmaBufMapInfo} == {
        DmaBufMapInfo.INCOHERENT: None,
        DmaBufMapInfo.COHERENT_WC: MapCache.WC,
        DmaBufMapInfo.COHERENT_CACHED: MapCache.CACHED,
    }


def test_write_combined_changes_its_number_on_the_way() -> None:
    for dialect, word in ((Dialect.RFC1, VmProt.WC.value), (Dialect.RFC3, DmaBufMapInfo.COHERENT_WC.value)):
        translated = map_cache_from_ioctl(dialect, word)
        assert translated is MapCache.WC
        assert translated.value != word


@pytest.mark.parametrize("value", [2, 3, 0x10, 0x13, 1 << 32, (1 << 64) - 38, -38])
def test_value_that_is_no_word_of_the_first_posting_is_nothing(value: int) -> None:
    assert map_cache_from_ioctl(Dialect.RFC1, value) is None


@pytest.mark.parametrize("value", [0, 3, 0x11, 1 << 32, (1 << 64) - 38, -38])
def test_value_that_is_no_mappable_word_of_the_third_posting_is_nothing(value: int) -> None:
    assert map_cache_from_ioctl(Dialect.RFC3, value) is None


def test_host_says_what_its_posting_has_a_word_for() -> None:
    assert [vm_prot_from_host(attribute) for attribute in (H.WC, H.CACHED, H.INCOHERENT, H.UNKNOWN)] == [
        VmProt.WC,
        VmProt.CACHED,
        VmProt.CACHED,
        None,
    ]
    assert [map_info_from_host(attribute) for attribute in (H.WC, H.CACHED, H.INCOHERENT, H.UNKNOWN)] == [
        DmaBufMapInfo.COHERENT_WC,
        DmaBufMapInfo.COHERENT_CACHED,
        DmaBufMapInfo.INCOHERENT,
        DmaBufMapInfo.INCOHERENT,
    ]


def test_guest_knows_two_words_and_takes_the_rest_as_cached() -> None:
    protections = {number: pgprot_from_map_info(number) for number in range(256)}
    assert protections.pop(MapCache.UNCACHED.value) is P.NONCACHED
    assert protections.pop(MapCache.WC.value) is P.WRITECOMBINE
    assert set(protections.values()) == {P.CACHED}


@pytest.mark.parametrize(
    ("host", "in_conflict"),
    [
        (H.WC, {P.CACHED, P.NONCACHED}),
        (H.CACHED, {P.WRITECOMBINE, P.NONCACHED}),
        (H.INCOHERENT, {P.CACHED, P.WRITECOMBINE, P.NONCACHED}),
        (H.UNKNOWN, set()),
    ],
)
def test_guest_conflicts_with_what_the_host_does(host: HostAttribute, in_conflict: set[Pgprot]) -> None:
    assert {guest for guest in Pgprot if conflicts(host, guest)} == in_conflict


if TYPE_CHECKING:
    # mypy --strict complains of an ignored error that is none, so each of these lines is known not to type-check
    map_cache_from_vm_prot(DmaBufMapInfo.COHERENT_WC)  # type: ignore[arg-type]
    map_cache_from_vm_prot(0)  # type: ignore[arg-type]
    map_cache_from_map_info(VmProt.WC)  # type: ignore[arg-type]
    map_cache_from_map_info(MapCache.WC)  # type: ignore[arg-type]
    map_cache_from_ioctl(Dialect.RFC1, VmProt.WC)  # type: ignore[arg-type]
    pgprot_from_map_info(MapCache.WC)  # type: ignore[arg-type]
    conflicts(MapCache.WC, Pgprot.CACHED)  # type: ignore[arg-type]
    number: int = MapCache.WC  # type: ignore[assignment]
    cache: MapCache = VmProt.WC  # type: ignore[assignment]
