"""What the emulator is about: an exporter's cache attribute, on its way to the guest's page protection.

Every cell of exporter x posting x profile, with the ioctl and without, as it must come out. The answers with the ioctl
follow from the series as posted; those without it from what every VMM does today, which is to take a guess.
"""

from errno import EINVAL
from itertools import product

import pytest
import trio
from support import Call, answers, create, create_and_mmap, said

from vgpu_emu.assembly import Config, Parts
from vgpu_emu.guest.driver import Op
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.vma import Vma
from vgpu_emu.ids import ResourceId
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.machine import open_machine
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vocabulary import Dialect, Pgprot
from vgpu_wire.blob import MapCache, RespMapInfo
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.control import CtrlType
from vgpu_wire.messages import type_name

#: the profiles whose VMM maps blobs and whose answers differ where nobody knows the attribute
TABLED = ["strict", "crosvm", "qemu-virgl"]
TABLE = """
exporter    dialect  profile     ioctl   response         map_info  pgprot        conflict

wc          rfc1     strict      yes     RESP_OK_MAP_INFO  3        writecombine  no
wc          rfc1     crosvm      yes     RESP_OK_MAP_INFO  3        writecombine  no
wc          rfc1     qemu-virgl  yes     RESP_OK_MAP_INFO  3        writecombine  no
wc          rfc3     strict      yes     RESP_OK_MAP_INFO  3        writecombine  no
wc          rfc3     crosvm      yes     RESP_OK_MAP_INFO  3        writecombine  no
wc          rfc3     qemu-virgl  yes     RESP_OK_MAP_INFO  3        writecombine  no

cached      rfc1     strict      yes     RESP_OK_MAP_INFO  1        cached        no
cached      rfc1     crosvm      yes     RESP_OK_MAP_INFO  1        cached        no
cached      rfc1     qemu-virgl  yes     RESP_OK_MAP_INFO  1        cached        no
cached      rfc3     strict      yes     RESP_OK_MAP_INFO  1        cached        no
cached      rfc3     crosvm      yes     RESP_OK_MAP_INFO  1        cached        no
cached      rfc3     qemu-virgl  yes     RESP_OK_MAP_INFO  1        cached        no

incoherent  rfc1     strict      yes     RESP_OK_MAP_INFO  1        cached        yes
incoherent  rfc1     crosvm      yes     RESP_OK_MAP_INFO  1        cached        yes
incoherent  rfc1     qemu-virgl  yes     RESP_OK_MAP_INFO  1        cached        yes
incoherent  rfc3     strict      yes     RESP_ERR_UNSPEC   -        -             no
incoherent  rfc3     crosvm      yes     RESP_ERR_UNSPEC   -        -             no
incoherent  rfc3     qemu-virgl  yes     RESP_OK_MAP_INFO  0        cached        yes

silent      rfc1     strict      yes     RESP_ERR_UNSPEC   -        -             no
silent      rfc1     crosvm      yes     RESP_ERR_UNSPEC   -        -             no
silent      rfc1     qemu-virgl  yes     RESP_OK_MAP_INFO  0        cached        no
silent      rfc3     strict      yes     RESP_ERR_UNSPEC   -        -             no
silent      rfc3     crosvm      yes     RESP_ERR_UNSPEC   -        -             no
silent      rfc3     qemu-virgl  yes     RESP_OK_MAP_INFO  0        cached        no

drm         rfc1     strict      yes     RESP_ERR_UNSPEC   -        -             no
drm         rfc1     crosvm      yes     RESP_ERR_UNSPEC   -        -             no
drm         rfc1     qemu-virgl  yes     RESP_OK_MAP_INFO  0        cached        no
drm         rfc3     strict      yes     RESP_ERR_UNSPEC   -        -             no
drm         rfc3     crosvm      yes     RESP_ERR_UNSPEC   -        -             no
drm         rfc3     qemu-virgl  yes     RESP_OK_MAP_INFO  0        cached        no

wc          rfc1     strict      no      RESP_OK_MAP_INFO  1        cached        yes
wc          rfc1     crosvm      no      RESP_OK_MAP_INFO  1        cached        yes
wc          rfc1     qemu-virgl  no      RESP_OK_MAP_INFO  1        cached        yes
wc          rfc3     strict      no      RESP_OK_MAP_INFO  1        cached        yes
wc          rfc3     crosvm      no      RESP_OK_MAP_INFO  1        cached        yes
wc          rfc3     qemu-virgl  no      RESP_OK_MAP_INFO  1        cached        yes

cached      rfc1     strict      no      RESP_OK_MAP_INFO  1        cached        no
cached      rfc1     crosvm      no      RESP_OK_MAP_INFO  1        cached        no
cached      rfc1     qemu-virgl  no      RESP_OK_MAP_INFO  1        cached        no
cached      rfc3     strict      no      RESP_OK_MAP_INFO  1        cached        no
cached      rfc3     crosvm      no      RESP_OK_MAP_INFO  1        cached        no
cached      rfc3     qemu-virgl  no      RESP_OK_MAP_INFO  1        cached        no

incoherent  rfc1     strict      no      RESP_OK_MAP_INFO  1        cached        yes
incoherent  rfc1     crosvm      no      RESP_OK_MAP_INFO  1        cached        yes
incoherent  rfc1     qemu-virgl  no      RESP_OK_MAP_INFO  1        cached        yes
incoherent  rfc3     strict      no      RESP_OK_MAP_INFO  1        cached        yes
incoherent  rfc3     crosvm      no      RESP_OK_MAP_INFO  1        cached        yes
incoherent  rfc3     qemu-virgl  no      RESP_OK_MAP_INFO  1        cached        yes

silent      rfc1     strict      no      RESP_OK_MAP_INFO  1        cached        no
silent      rfc1     crosvm      no      RESP_OK_MAP_INFO  1        cached        no
silent      rfc1     qemu-virgl  no      RESP_OK_MAP_INFO  1        cached        no
silent      rfc3     strict      no      RESP_OK_MAP_INFO  1        cached        no
silent      rfc3     crosvm      no      RESP_OK_MAP_INFO  1        cached        no
silent      rfc3     qemu-virgl  no      RESP_OK_MAP_INFO  1        cached        no

drm         rfc1     strict      no      RESP_OK_MAP_INFO  1        cached        no
drm         rfc1     crosvm      no      RESP_OK_MAP_INFO  1        cached        no
drm         rfc1     qemu-virgl  no      RESP_OK_MAP_INFO  1        cached        no
drm         rfc3     strict      no      RESP_OK_MAP_INFO  1        cached        no
drm         rfc3     crosvm      no      RESP_OK_MAP_INFO  1        cached        no
drm         rfc3     qemu-virgl  no      RESP_OK_MAP_INFO  1        cached        no
"""
_HEADINGS, *ROWS = [line.split() for line in TABLE.splitlines() if line]

every_row = pytest.mark.parametrize("row", ROWS, ids=[" ".join(row[:4]) for row in ROWS])
pytestmark = pytest.mark.usefixtures("nothing_left")


def _config(row: list[str]) -> Config:
    return Config(dialect=Dialect(row[1]), profile=PROFILES[row[2]], ioctl=row[3] == "yes")


def _outcome(parts: Parts, vma: Vma | None) -> list[str]:
    """The right half of a row: what was on the wire, what the guest made of it, and whether the host contradicts."""
    (answer,) = [answer for answer in answers(parts.log) if answer.type != CtrlType.RESP_OK_NODATA]
    return [
        type_name(answer.type),
        str(answer.map_info) if isinstance(answer, RespMapInfo) else "-",
        vma.pgprot.value if vma else "-",
        "yes" if parts.conflicts() else "no",
    ]


def _buffer(row: list[str], file: DrmFile) -> Op[Vma | None]:
    """The exporter's buffer in the guest, mapped; None: refused as Linux does."""
    try:
        _, vma = yield from create_and_mmap(file, ExporterKind[row[0].upper()])
    except OSError as refused:
        if refused.errno != EINVAL:
            raise
        return None
    return vma


def _in_lockstep(row: list[str]) -> tuple[list[str], Parts]:
    with Lockstep(_config(row)) as pair:
        vma = pair.run(_buffer(row, DrmFile(pair.driver)))
        assert len(pair.parts.region) == (vma is not None)
        return _outcome(pair.parts, vma), pair.parts


def test_table_has_every_cell() -> None:
    exporters = [exporter.name.lower() for exporter in ExporterKind]
    dialects = [dialect.value for dialect in Dialect]
    cells = set(product(exporters, dialects, TABLED, ["yes", "no"]))
    assert {tuple(row[:4]) for row in ROWS} == cells
    assert len(ROWS) == len(cells) == 60


@every_row
def test_attribute_arrives_as_the_table_says_in_lockstep(row: list[str]) -> None:
    assert _in_lockstep(row)[0] == row[4:]


@every_row
async def test_attribute_arrives_as_the_table_says_between_tasks(
    row: list[str], autojump_clock: trio.testing.MockClock
) -> None:
    async with open_machine(_config(row)) as machine:
        vma = await machine.run(_buffer(row, DrmFile(machine.driver)))
        await machine.settle()
        assert len(machine.parts.region) == (vma is not None)
        assert _outcome(machine.parts, vma) == row[4:]
    assert said(machine.log) == said(_in_lockstep(row)[1].log)


@every_row
def test_only_without_the_ioctl_the_log_says_guessed(row: list[str]) -> None:
    _, parts = _in_lockstep(row)
    guesses = [note.values for note in parts.log.notes("guessed")]
    assert guesses == ([] if row[3] == "yes" else [{"resource_id": 2, "map_info": "CACHED"}])


@every_row
def test_vmm_knows_why_it_does_not_know_the_attribute(row: list[str]) -> None:
    _, parts = _in_lockstep(row)
    failed = row[3] == "yes" and row[5] in ("-", "0")
    assert len(list(parts.log.notes("map_info_failed"))) == failed


@pytest.mark.parametrize(
    ("guess", "map_info", "pgprot"),
    [
        (MapCache.CACHED, 1, Pgprot.CACHED),
        (MapCache.UNCACHED, 2, Pgprot.NONCACHED),
        (MapCache.WC, 3, Pgprot.WRITECOMBINE),
    ],
)
@pytest.mark.parametrize("profile", TABLED)
def test_guess_of_the_renderer_is_what_the_guest_gets_without_the_ioctl(
    profile: str, guess: MapCache, map_info: int, pgprot: Pgprot
) -> None:
    with Lockstep(Config(ioctl=False, guess=guess, profile=PROFILES[profile])) as pair:
        _, vma = pair.run(create_and_mmap(DrmFile(pair.driver), ExporterKind.WC))
        assert vma.pgprot is pgprot
        (answer,) = [answer for answer in answers(pair.log) if isinstance(answer, RespMapInfo)]
        assert answer.map_info == map_info


@pytest.mark.parametrize(("profile", "mapped"), [("strict", False), ("crosvm", False), ("qemu-virgl", True)])
def test_renderer_without_a_guess_is_a_failure_without_the_ioctl(profile: str, mapped: bool) -> None:
    with Lockstep(Config(ioctl=False, guess=MapCache.NONE, profile=PROFILES[profile])) as pair:
        file = DrmFile(pair.driver)
        handle = pair.run(create(file, ExporterKind.WC))
        call = file.mmap(file.map(handle), 4096)
        if mapped:
            assert pair.run(call).pgprot is Pgprot.CACHED
        else:
            with pytest.raises(OSError, match=r"refused to map") as refused:
                pair.run(call)
            assert refused.value.errno == EINVAL


def test_conflict_names_both_views() -> None:
    with Lockstep(Config(ioctl=False)) as pair:
        pair.run(create_and_mmap(DrmFile(pair.driver), ExporterKind.WC))
        (conflict,) = pair.parts.conflicts()
        assert conflict.resource_id == ResourceId(2)
        assert str(conflict) == "resource 2: the host maps it wc, the guest cached"


def test_no_conflict_is_left_when_the_buffer_is_gone() -> None:
    with Lockstep(Config(ioctl=False)) as pair:
        file = DrmFile(pair.driver)
        handle, vma = pair.run(create_and_mmap(file, ExporterKind.WC))
        pair.run(vma.munmap())
        pair.run(file.gem_close(handle))
        assert pair.parts.conflicts() == []


def test_attributes_of_two_buffers_do_not_mix() -> None:
    with Lockstep() as pair:
        file = DrmFile(pair.driver)
        _, combined = pair.run(create_and_mmap(file, ExporterKind.WC, blob_id=1))
        _, cached = pair.run(create_and_mmap(file, ExporterKind.CACHED, blob_id=2))
        assert [combined.pgprot, cached.pgprot] == [Pgprot.WRITECOMBINE, Pgprot.CACHED]


def test_attribute_is_known_only_when_the_device_has_answered() -> None:
    with Lockstep() as pair:
        call = Call(create_and_mmap(DrmFile(pair.driver), ExporterKind.WC))
        assert call.sleeps
        pair.kick()
        call.step()
        assert call.value[1].pgprot is Pgprot.WRITECOMBINE
