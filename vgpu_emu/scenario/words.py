"""The words that values of a scenario file are: taken from the enumerations, spelled as elsewhere in the emulator.

To a type checker each is a plain string; to the decoder, and in the JSON schema, one of a list.
"""

from collections.abc import Iterable
from errno import errorcode
from typing import TYPE_CHECKING, Any, Literal

from vgpu_emu.assembly import CAPSETS
from vgpu_emu.attributes.platform import PLATFORMS
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vocabulary import Dialect, Pgprot
from vgpu_wire.blob import BlobFlag, BlobMem, MapCache
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.control import FIRST_RESPONSE, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.render import CapsetId
from vgpu_wire.resource import Format
from vgpu_wire.virtgpu_drm import Param

#: of a scenario, and of what a step gives
ID_PATTERN = "^[a-z0-9_-]+@[a-z0-9_-]+$"
NAME_PATTERN = "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"


def _one_of(words: Iterable[str]) -> Any:
    return Literal[tuple(words)]


if TYPE_CHECKING:
    CommandName = str
    ResponseName = str
    MapInfoName = str
    PgprotName = str
    ExporterName = str
    MemName = str
    FlagName = str
    FeatureName = str
    CapsetName = str
    OfferedCapset = str
    FormatName = str
    ParamName = str
    PlatformName = str
    DialectName = str
    ErrnoName = str
    RuleName = str
else:
    CommandName = _one_of(t.name for t in CtrlType if 0 < t < FIRST_RESPONSE)
    ResponseName = _one_of([*(t.name for t in CtrlType if t >= FIRST_RESPONSE), "nothing"])
    MapInfoName = _one_of(info.name.lower() for info in MapCache)
    PgprotName = _one_of(pgprot.value for pgprot in Pgprot)
    ExporterName = _one_of(kind.name.lower() for kind in ExporterKind)
    MemName = _one_of(mem.name.lower() for mem in BlobMem)
    FlagName = _one_of(flag.name.lower().removeprefix("use_") for flag in BlobFlag)
    FeatureName = _one_of(feature.name.lower() for feature in Feature)
    CapsetName = _one_of(capset.name.lower() for capset in CapsetId)
    OfferedCapset = _one_of(CapsetId(number).name.lower() for number in CAPSETS)
    FormatName = _one_of(f.name.lower().removesuffix("_unorm") for f in Format)
    ParamName = _one_of(param.name.lower() for param in Param)
    PlatformName = _one_of(PLATFORMS)
    DialectName = _one_of(dialect.value for dialect in Dialect)
    ErrnoName = _one_of(sorted(set(errorcode.values())))
    RuleName = _one_of(rule.name for rule in Rule)


def map_info(word: MapInfoName | int) -> int:
    return word if isinstance(word, int) else MapCache[word.upper()].value


def blob_flags(words: tuple[FlagName, ...] | int) -> int:
    return words if isinstance(words, int) else sum(BlobFlag[f"USE_{word.upper()}"].value for word in words)


def blob_mem(word: MemName | int) -> int:
    return word if isinstance(word, int) else BlobMem[word.upper()].value


def capset(word: CapsetName | int) -> int:
    return word if isinstance(word, int) else CapsetId[word.upper()].value


def features(names: Iterable[FeatureName]) -> frozenset[Feature]:
    return frozenset(Feature[name.upper()] for name in names)


def picture_format(word: FormatName | int) -> int:
    return word if isinstance(word, int) else Format[f"{word.upper()}_UNORM"].value
