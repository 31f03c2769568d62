"""The map of the host visible region: blobs and gaps side by side, each party's word for each blob below it."""

from typing import NamedTuple

from vgpu_emu.attributes.alias_rules import Verdict
from vgpu_emu.report.kinds import Chip, chip, effective_chip, host_kind, map_info_kind, pgprot_kind
from vgpu_emu.report.region import Mapped, Moment, mappings, moments
from vgpu_emu.report.story import Run
from vgpu_emu.trace.words import map_info_words

#: blobs side by side; of more, those that disagree first
MAX_BLOBS = 8


class Column(NamedTuple):
    """A blob, or what lies between two. resource_id: None for a gap."""

    offset: int
    size: str
    resource_id: int | None = None
    since: int = 0
    host: Chip | None = None
    wire: Chip | None = None
    guest: Chip | None = None
    effective: Chip | None = None
    bad: bool = False
    rule: str = ""


class Map(NamedTuple):
    """The region from one event on. end: bytes. left_out: blobs that are not shown."""

    event: int
    columns: list[Column]
    end: int
    blobs: int
    left_out: int


def region_map(run: Run) -> list[Map]:
    """The map at every moment; none if nothing was ever mapped."""
    return [_map(moment, run.region_size) for moment in moments(mappings(run.events, run.platform))]


def _map(moment: Moment, size: int) -> Map:
    chosen = sorted(sorted(moment.blobs, key=lambda blob: not _bad(blob))[:MAX_BLOBS], key=lambda blob: blob.offset)
    columns: list[Column] = []
    place = 0
    for blob in chosen:
        if blob.offset > place:
            columns.append(Column(place, bytes_words(blob.offset - place)))
        columns.append(_column(blob))
        place = max(place, blob.offset + blob.length)
    end = max(size, place)
    if end > place:
        columns.append(Column(place, bytes_words(end - place)))
    return Map(moment.event, columns, end, len(moment.blobs), len(moment.blobs) - len(chosen))


def _bad(blob: Mapped) -> bool:
    return blob.judgement is not None and blob.judgement.verdict is Verdict.MISMATCHED


def _column(blob: Mapped) -> Column:
    derivation, judgement = blob.derivation, blob.judgement
    return Column(
        blob.offset,
        bytes_words(blob.length),
        blob.resource_id,
        blob.since,
        chip(blob.host.value, host_kind(blob.host)) if blob.host else None,
        chip(f"{blob.map_info} ({map_info_words(blob.map_info)})", map_info_kind(blob.map_info)),
        chip(blob.pgprot.value, pgprot_kind(blob.pgprot)) if blob.pgprot else None,
        effective_chip(derivation.effective) if derivation else None,
        _bad(blob),
        f"{judgement.verdict.value}: {judgement.rule}" if judgement else "",
    )


def bytes_words(size: int) -> str:
    """``64 KiB``, ``255.9 MiB``, ``12 bytes``."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << shift:
            number = f"{size / (1 << shift):.1f}"
            return f"{number.removesuffix('.0')} {unit}"
    return f"{size} bytes"
