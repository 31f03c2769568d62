"""The alias checker on a running machine: it knows every mapping, names who and when, and changes nothing."""

from contextlib import suppress
from itertools import product

import pytest
from support import create, create_and_mmap, said

from vgpu_emu.aliasing import AliasWatch
from vgpu_emu.assembly import Config
from vgpu_emu.attributes.alias_rules import Verdict
from vgpu_emu.attributes.aliases import Role
from vgpu_emu.attributes.platform import PLATFORMS, platform
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.machine import open_machine
from vgpu_emu.trace.log import Note
from vgpu_wire.blob import ResourceUnmapBlob
from vgpu_wire.context_stream import ExporterKind

AMD = platform("amd")
PAGE = 4096


def watched(machine: Lockstep) -> AliasWatch:
    assert machine.parts.aliases is not None
    return machine.parts.aliases


def roles(watch: AliasWatch) -> list[str]:
    """Who maps dma-buf 1, oldest first."""
    return [f"{mapping.role.name} {mapping.effective.value}" for mapping in watch.checker.mappings("dma-buf 1")]


def test_without_a_platform_nobody_looks() -> None:
    with Lockstep() as machine:
        assert machine.parts.aliases is None
        assert machine.log.listeners == []
        assert type(machine.parts.kernel).__name__ == "Kernel"


def test_every_mapping_of_a_buffer_is_known_from_export_to_release() -> None:
    with Lockstep(Config(platform=AMD)) as machine:
        file, watch = DrmFile(machine.driver), watched(machine)
        handle = machine.run(create(file, ExporterKind.WC))
        assert roles(watch) == ["EXPORTER WC", "GPU DMA", "VMM WC"]
        vma = machine.run(file.mmap(file.map(handle), PAGE))
        assert roles(watch)[3:] == ["GUEST_USER WC"]
        machine.run(vma.munmap())
        assert len(roles(watch)) == 3
        machine.run(file.close())
        assert len(watch.checker) == 0
        assert watch.conflicts == []


def test_guess_of_the_renderer_conflicts_with_every_mapping_of_a_write_combined_buffer() -> None:
    with Lockstep(Config(platform=AMD, ioctl=False)) as machine:
        machine.run(create_and_mmap(DrmFile(machine.driver), ExporterKind.WC))
        conflicts = watched(machine).conflicts
        assert {conflict.first.role for conflict in conflicts} == {Role.EXPORTER, Role.GPU, Role.VMM}
        assert {conflict.verdict for conflict in conflicts} == {Verdict.MISMATCHED}
        assert {(conflict.second.role, conflict.second.who) for conflict in conflicts} == {
            (Role.GUEST_USER, "resource 2")
        }


def test_step_of_a_conflict_is_the_number_of_its_mapping_in_the_log() -> None:
    with Lockstep(Config(platform=AMD, ioctl=False)) as machine:
        machine.run(create_and_mmap(DrmFile(machine.driver), ExporterKind.WC))
        conflict = watched(machine).conflicts[0]
        number, _, does = conflict.step.partition(": ")
        event = machine.log.events[int(number) - 1]
        assert isinstance(event, Note)
        assert (does, event.who, event.name) == ("mmap", "guest", "maps")
        assert [note.values["conflict"] for note in machine.log.notes("alias")] == [
            str(each) for each in watched(machine).conflicts
        ]


def test_buffer_that_must_not_be_mapped_conflicts_with_its_gpu_as_soon_as_the_vmm_maps_it() -> None:
    with Lockstep(Config(platform=AMD)) as machine:
        machine.run(create(DrmFile(machine.driver), ExporterKind.INCOHERENT))
        (conflict,) = watched(machine).conflicts
        assert (conflict.first.role, conflict.second.role) == (Role.GPU, Role.VMM)
        assert conflict.step.endswith("RESOURCE_MAP_BLOB")


def test_part_of_a_blob_conflicts_in_that_part() -> None:
    with Lockstep(Config(platform=AMD, ioctl=False)) as machine:
        file = DrmFile(machine.driver)
        handle = machine.run(create(file, ExporterKind.WC, size=4 * PAGE))
        vma = machine.run(file.mmap(file.map(handle), PAGE, 2 * PAGE))
        again = machine.run(file.mmap(file.map(handle), PAGE, 2 * PAGE))
        assert {(each.offset, each.length) for each in watched(machine).conflicts} == {(2 * PAGE, PAGE)}
        machine.run(vma.munmap())
        assert len(roles(watched(machine))) == 4
        machine.run(again.munmap())
        assert len(roles(watched(machine))) == 3


def test_unmapped_slot_takes_the_guests_mappings_with_it() -> None:
    with Lockstep(Config(platform=AMD)) as machine:
        _, vma = machine.run(create_and_mmap(DrmFile(machine.driver), ExporterKind.WC))
        machine.run(machine.driver.command(ResourceUnmapBlob(resource_id=2)))
        assert roles(watched(machine)) == ["EXPORTER WC", "GPU DMA"]
        machine.run(vma.munmap())
        assert len(roles(watched(machine))) == 2


def test_exporter_that_does_not_tell_has_no_mapping_that_could_conflict() -> None:
    with Lockstep(Config(platform=AMD, ioctl=False)) as machine:
        machine.run(create_and_mmap(DrmFile(machine.driver), ExporterKind.SILENT))
        assert roles(watched(machine)) == ["GUEST_USER WB"]
        assert watched(machine).conflicts == []


def test_guests_note_about_a_resource_that_the_device_has_not_is_nothing() -> None:
    with Lockstep(Config(platform=AMD)) as machine:
        for name in ("pgprot", "munmap"):
            machine.log.note("guest", name, resource_id=9, pgprot="cached")
        assert len(watched(machine).checker) == 0


@pytest.mark.parametrize(("exporter", "ioctl"), list(product(ExporterKind, (True, False))))
def test_what_crosses_the_links_is_the_same_with_the_checker_and_without(exporter: ExporterKind, ioctl: bool) -> None:
    spoken = []
    for seen in (None, AMD):
        with Lockstep(Config(platform=seen, ioctl=ioctl)) as machine:
            file = DrmFile(machine.driver)
            with suppress(OSError):
                _, vma = machine.run(create_and_mmap(file, exporter))
                machine.run(vma.munmap())
            machine.run(file.close())
            spoken.append(said(machine.log))
    assert spoken[0] == spoken[1]


@pytest.mark.parametrize("name", PLATFORMS)
async def test_machine_with_tasks_sees_what_lockstep_sees(name: str) -> None:
    config = Config(platform=platform(name), ioctl=False)
    async with open_machine(config) as machine:
        await machine.run(create_and_mmap(DrmFile(machine.driver), ExporterKind.WC))
        assert machine.parts.aliases is not None
        seen = [(each.first.role, each.second.role, each.rule) for each in machine.parts.aliases.conflicts]
    with Lockstep(config) as lockstep:
        lockstep.run(create_and_mmap(DrmFile(lockstep.driver), ExporterKind.WC))
        expected = [(each.first.role, each.second.role, each.rule) for each in watched(lockstep).conflicts]
    assert seen == expected
    assert seen


def test_machine_that_is_left_early_leaves_no_mapping_in_the_checker(nothing_left: None) -> None:
    with Lockstep(Config(platform=AMD)) as machine:
        machine.run(create_and_mmap(DrmFile(machine.driver), ExporterKind.WC))
        watch = watched(machine)
    assert len(watch.checker) == 0
