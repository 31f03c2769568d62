"""Stories to write reports of: one buffer in lockstep, with all that the checker and the coherency model say of it."""

from support import create_and_mmap

from vgpu_emu.assembly import Config
from vgpu_emu.attributes.platform import platform
from vgpu_emu.attributes.remedies import remedies
from vgpu_emu.attributes.reports import draw
from vgpu_emu.attributes.walkthrough import stage
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.report.story import Fact, Outcome, Run, Story, Walk
from vgpu_emu.trace.log import Event
from vgpu_emu.vocabulary import HostAttribute, Pgprot
from vgpu_wire.context_stream import ExporterKind

AMD = platform("amd")
SIZE = 65536


def lockstep_run(*, ioctl: bool) -> tuple[list[Event], Pgprot, Run]:
    """A write-combined buffer, mapped by the guest."""
    with Lockstep(Config(ioctl=ioctl, platform=AMD)) as lockstep:
        _, vma = lockstep.run(create_and_mmap(DrmFile(lockstep.driver), ExporterKind.WC, size=SIZE))
        assert lockstep.parts.aliases is not None
        events, conflicts = list(lockstep.log.events), list(lockstep.parts.aliases.conflicts)
        pgprot = vma.pgprot
    run = Run(
        name="with the ioctl" if ioctl else "without the ioctl",
        outcome=Outcome.CONFLICT if conflicts else Outcome.AGREE,
        says="They do not agree." if conflicts else "They agree.",
        happens=[("The VMM answers.", "vmm.c")],
        events=events,
        facts=[Fact("exporter", "maps it", "wc"), Fact("guest", "maps it with", pgprot.value)],
        derivation=AMD.derive(pgprot),
        conflicts=conflicts,
        platform=AMD,
        region_size=256 << 20,
        walk=walk(pgprot),
        remedies=remedies(AMD, HostAttribute.WC, pgprot),
    )
    return events, pgprot, run


def walk(pgprot: Pgprot) -> Walk:
    """The guest draws three frames into a write-combined buffer, and the GPU reads them."""
    walked = stage(AMD, HostAttribute.WC, pgprot)
    draw(walked)
    views = AMD.host_views(HostAttribute.WC)
    assert views is not None
    seen = {"host": views[0], "gpu": views[1], "guest": AMD.derive(pgprot).effective}
    return Walk("Three frames.", seen, walked.log)


def story() -> Story:
    """One run that goes wrong and one that does not."""
    runs = [lockstep_run(ioctl=ioctl)[2] for ioctl in (False, True)]
    return Story(title="A buffer", lede="What becomes of it.", settings=[("platform", "amd")], runs=runs)
