"""The blobs that a guest is asked to make, and what our model says Linux will list for each."""

from typing import NamedTuple

from vgpu_emu.attributes.mtrr import Bar, Firmware
from vgpu_emu.attributes.platform import platform
from vgpu_emu.vocabulary import pgprot_from_map_info
from vgpu_wire.blob import MapCache
from vgpu_wire.context_stream import ExporterKind


class Blob(NamedTuple):
    """map_info: what the device answers to MAP_BLOB. exporter: who allocates it; None: --blob-id says the answer."""

    blob_id: int
    map_info: MapCache
    exporter: ExporterKind | None = None

    @property
    def says(self) -> str:
        asked = f"--blob-id {self.blob_id}=" if self.exporter is None else f"exporter {self.exporter.name.lower()}: "
        return f"{asked}{self.map_info.name.lower()}"

    @property
    def wish(self) -> str:
        """For the guest's program."""
        return str(self.blob_id) if self.exporter is None else f"{self.blob_id}:{self.exporter.value}"


#: every map_info, and the two exporters whose attribute the VMM passes on
BLOBS = (
    *(Blob(1 + map_info.value, map_info) for map_info in MapCache),
    Blob(11, MapCache.WC, ExporterKind.WC),
    Blob(12, MapCache.CACHED, ExporterKind.CACHED),
)


def predicted(blob: Blob, bar: Bar) -> str:
    """The memory type that Linux will list, by the model. It is the same under every hypervisor."""
    here = platform("amd", firmware=Firmware.SEABIOS, bar=bar)
    memtype = here.derive(pgprot_from_map_info(blob.map_info.value)).memtype
    assert memtype is not None
    return memtype
