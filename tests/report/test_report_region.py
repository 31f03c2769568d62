"""The host visible region as the log tells it, compared with the region itself."""

from typing import Any

import pytest
from report_kit import AMD, SIZE, lockstep_run
from support import create_and_mmap

from vgpu_emu.assembly import Config
from vgpu_emu.attributes.alias_rules import Verdict
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.report.map import MAX_BLOBS, Map, bytes_words, region_map
from vgpu_emu.report.region import MAX_MOMENTS, Mapped, mappings, moments
from vgpu_emu.report.story import Outcome, Run
from vgpu_emu.report.threads import threads
from vgpu_emu.trace.log import GUEST, Note
from vgpu_emu.vocabulary import HostAttribute, Pgprot
from vgpu_wire.blob import ResourceUnmapBlob
from vgpu_wire.context_stream import ExporterKind


def maps(lockstep: Lockstep) -> list[Map]:
    run = Run(name="", outcome=Outcome.AGREE, says="", events=lockstep.log.events, platform=AMD, region_size=256 << 20)
    return region_map(run)


def test_the_map_after_each_message_is_the_region_itself() -> None:
    with Lockstep() as lockstep:
        file = DrmFile(lockstep.driver)
        vmas = []
        for size in (4096, 65536, 8192):
            vmas.append(lockstep.run(create_and_mmap(file, size=size))[1])
            truth = [(slot.offset, slot.length) for slot in lockstep.parts.region]
            last = moments(mappings(lockstep.log.events))[-1]
            assert [(blob.offset, blob.length) for blob in last.blobs] == truth
        for vma in vmas:
            lockstep.run(vma.munmap())
        lockstep.run(file.close())
        assert len(lockstep.parts.region) == 0
        assert moments(mappings(lockstep.log.events))[-1].blobs == ()


def test_a_blob_has_each_partys_word_and_what_becomes_of_it() -> None:
    events, pgprot, _ = lockstep_run(ioctl=False)
    (blob,) = mappings(events, AMD)
    assert (blob.offset, blob.length, blob.map_info) == (0, SIZE, 1)
    assert (blob.host, blob.pgprot, pgprot) == (HostAttribute.WC, Pgprot.CACHED, Pgprot.CACHED)
    assert blob.derivation == AMD.derive(Pgprot.CACHED)
    assert blob.judgement is not None
    assert blob.judgement.verdict is Verdict.MISMATCHED


def test_without_a_platform_nothing_is_derived() -> None:
    (blob,) = mappings(lockstep_run(ioctl=False)[0])
    assert (blob.derivation, blob.judgement) == (None, None)


@pytest.mark.parametrize(
    "values", [{}, {"resource_id": []}, {"resource_id": 2}, {"resource_id": 2, "pgprot": "odd"}, {"pgprot": [1]}]
)
def test_a_note_that_does_not_tell_the_pgprot_changes_nothing(values: dict[str, Any]) -> None:
    events, pgprot, _ = lockstep_run(ioctl=False)
    (blob,) = mappings([*events, Note(0, GUEST, "pgprot", values)])
    assert blob.pgprot is pgprot


def test_a_blob_is_unmapped_once() -> None:
    with Lockstep() as lockstep:
        file = DrmFile(lockstep.driver)
        handle, vma = lockstep.run(create_and_mmap(file))
        lockstep.run(vma.munmap())
        lockstep.run(file.gem_close(handle))
        events = lockstep.log.events
    woven = threads(events)
    unmap = next(index for index, thread in enumerate(woven) if isinstance(thread.record, ResourceUnmapBlob))
    answer = woven[unmap].answered
    assert answer is not None
    assert mappings([*events, events[unmap], events[answer]])[0].until == answer


def test_a_refused_map_is_not_on_the_map() -> None:
    with Lockstep() as lockstep:
        with pytest.raises(OSError, match="refused to map"):
            lockstep.run(create_and_mmap(DrmFile(lockstep.driver), ExporterKind.DRM))
        assert maps(lockstep) == []


def test_blobs_and_gaps_fill_the_region() -> None:
    with Lockstep() as lockstep:
        file = DrmFile(lockstep.driver)
        made = [lockstep.run(create_and_mmap(file, blob_id=number)) for number in (1, 2, 3)]
        lockstep.run(made[1][1].munmap())
        lockstep.run(file.gem_close(made[1][0]))
        shown = maps(lockstep)[-1]
    gaps = [column.resource_id is None for column in shown.columns]
    assert [column.offset for column in shown.columns] == [0, 4096, 8192, 12288]
    assert gaps == [False, True, False, True]
    assert (shown.columns[-1].size, shown.end) == ("256 MiB", 256 << 20)


@pytest.mark.parametrize("count", [MAX_BLOBS - 1, MAX_BLOBS, MAX_BLOBS + 1])
def test_of_many_blobs_those_that_disagree_are_shown(count: int) -> None:
    with Lockstep(Config(ioctl=False)) as lockstep:
        file = DrmFile(lockstep.driver)
        for blob_id in range(1, count):
            lockstep.run(create_and_mmap(file, blob_id=blob_id))
        lockstep.run(create_and_mmap(file, ExporterKind.WC, blob_id=count))
        shown = maps(lockstep)[-1]
    assert (shown.blobs, shown.left_out) == (count, max(0, count - MAX_BLOBS))
    assert [column.bad for column in shown.columns if column.resource_id is not None][-1]


@pytest.mark.parametrize("count", [MAX_MOMENTS - 1, MAX_MOMENTS, MAX_MOMENTS + 1])
def test_of_many_moments_the_last_are_told(count: int) -> None:
    told = moments([Mapped(number, number << 12, 4096, number, 1) for number in range(count)])
    assert len(told) == min(count, MAX_MOMENTS)
    assert len(told[-1].blobs) == count


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (1536, "1.5 KiB"), (1 << 28, "256 MiB")]
)
def test_sizes_are_told_in_words(size: int, words: str) -> None:
    assert bytes_words(size) == words
