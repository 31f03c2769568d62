"""Every exporter, posting and VMM on every platform: what the guest is told, and what becomes of it."""

from collections.abc import Iterable, Iterator
from itertools import product

import msgspec
from msgspec.structs import replace

from vgpu_emu.assembly import Config
from vgpu_emu.attributes.platform import Platform
from vgpu_emu.propagation import Propagation, propagate_in_lockstep
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.context_stream import ExporterKind

#: verdicts beside those of alias_rules.Verdict: an exporter that does not tell, and a blob that was not mapped
UNKNOWN, NOT_MAPPED = "unknown", "not mapped"


class Row(msgspec.Struct, frozen=True):
    """One combination. firmware, bar: None where they do not matter. map_info: the number on the wire.

    map_info and all that follows from it is None if RESOURCE_MAP_BLOB failed. memtype: None also where the guest keeps
    no list. effective: as the hardware's manuals name it. verdict: of the guest's mapping beside the exporter's and its
    GPU's: a value of alias_rules.Verdict, UNKNOWN or NOT_MAPPED.
    """

    exporter: str
    dialect: str
    profile: str
    platform: str
    firmware: str | None
    bar: str | None
    map_info: int | None
    pgprot: str | None
    pte: int | None
    memtype: str | None
    effective: str | None
    verdict: str


def told(
    exporters: Iterable[ExporterKind], dialects: Iterable[Dialect], profiles: Iterable[Profile], config: Config
) -> Iterator[Propagation]:
    """What each VMM tells the guest of each buffer: a run of the pipeline each. config: all the rest."""
    for exporter, dialect, profile in product(exporters, dialects, profiles):
        yield propagate_in_lockstep(exporter, replace(config, dialect=dialect, profile=profile))


def row(run: Propagation, platform: Platform) -> Row:
    """What a run's answer becomes on a platform."""
    here = replace(run, config=replace(run.config, platform=platform))
    derivation, judgement = here.derivation, here.judgement
    verdict = judgement.verdict.value if judgement else UNKNOWN if derivation else NOT_MAPPED
    return Row(
        exporter=run.exporter.name.lower(),
        dialect=run.config.dialect.value,
        profile=run.config.profile.name,
        platform=platform.name,
        firmware=platform.firmware.value if platform.firmware else None,
        bar=platform.bar.value if platform.bar else None,
        map_info=run.wire_map_info,
        pgprot=derivation.pgprot.value if derivation else None,
        pte=derivation.pte if derivation else None,
        memtype=derivation.memtype if derivation else None,
        effective=derivation.effective.value if derivation else None,
        verdict=verdict,
    )
