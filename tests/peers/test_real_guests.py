"""A real Linux in a real QEMU on each device finds what is expected: the judge is not ours."""

import tempfile
from pathlib import Path

import pytest

from vgpu_emu.attributes.mtrr import Bar
from vgpu_emu.peers.check.job import Job
from vgpu_emu.peers.check.routes import ROUTES, Route
from vgpu_emu.peers.check.rows import Outcome
from vgpu_emu.peers.check.run import check_route, job_name
from vgpu_emu.peers.guest.image import Image, compiled, image
from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.get import check_tools, home, present
from vgpu_emu.peers.parts.parts import Parts
from vgpu_wire.device import Feature

pytestmark = pytest.mark.peers
JOBS = [
    pytest.param(route, bar, None, id=job_name(route, bar)) for route in ROUTES.values() for bar in route.placements
]
#: guests whose driver goes other ways: images only, guest blobs as frames, contexts without blobs
FEATURES = {
    "2d": frozenset({Feature.EDID}),
    "guest-blobs": frozenset({Feature.EDID, Feature.RESOURCE_UUID, Feature.RESOURCE_BLOB}),
    "classic-virgl": frozenset({Feature.EDID, Feature.VIRGL}),
}
JOBS += [
    pytest.param(ROUTES["vhost-user"], Bar.ABOVE_4G, features, id=f"vhost-user-{name}")
    for name, features in FEATURES.items()
]


@pytest.fixture(scope="module")
def real() -> tuple[Parts, Image]:
    try:
        check_tools()
        parts = present()
        return parts, image(parts, home() / "image")
    except PartsError as error:
        pytest.skip(f"no real guest: {error}")


@pytest.mark.parametrize(("route", "bar", "features"), JOBS)
async def test_real_linux_finds_what_is_expected(
    real: tuple[Parts, Image], route: Route, bar: Bar | None, features: frozenset[Feature] | None
) -> None:
    with tempfile.TemporaryDirectory() as logs:
        report = await check_route(Job(route, bar, *real, Path(logs), features))
        serial = report.logs / "serial.log"
        said = serial.read_text(errors="replace")[-4000:] if serial.exists() else "nothing"
    assert [row for row in report.rows if row.outcome is Outcome.DIFFERS] == [], said


def test_program_of_the_guest_compiles_without_a_warning(real: tuple[Parts, Image], tmp_path: Path) -> None:
    assert compiled(real[0], tmp_path / "probe", "-Werror").startswith(b"\x7fELF")
