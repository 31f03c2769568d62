"""What several commands let one choose: the pipeline's parties, and the hardware. Each mistake lists what there is."""

from collections.abc import Collection, Iterable
from typing import Literal

from vgpu_emu.assembly import Config
from vgpu_emu.attributes.mtrr import Bar, Firmware
from vgpu_emu.attributes.platform import PLATFORMS, Platform, variants
from vgpu_emu.cli.profiles import named_profile
from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.ids import BlobId
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.blob import MapCache
from vgpu_wire.device import Feature

ExporterName = Literal["wc", "cached", "incoherent", "silent", "drm"]
DialectName = Literal["rfc1", "rfc3"]
GuessName = Literal["cached", "uncached", "wc"]
FirmwareName = Literal["seabios", "ovmf"]
BarName = Literal["above-4g", "below-4g"]


def known(what: str, name: str, names: Collection[str]) -> str:
    """The name, if there is such a thing. Raises UsageError."""
    if name not in names:
        raise UsageError(f"no {what} '{printable(name)}'; there are {', '.join(names)}")
    return name


def mapping_profile(name: str) -> Profile:
    """A profile whose VMM maps host blobs into the guest. Raises UsageError."""
    profile = named_profile(name)
    if not profile.maps_host_blobs:
        others = ", ".join(known.name for known in mapping_profiles())
        raise UsageError(f"the VMM of profile '{printable(name)}' maps no host blobs; these do: {others}")
    return profile


def mapping_profiles() -> list[Profile]:
    return [profile for profile in PROFILES.values() if profile.maps_host_blobs]


def config_of(dialect: DialectName, profile: str, ioctl: bool, guess: GuessName | None = None) -> Config:
    """The pipeline's configuration. Raises UsageError for an unknown profile, or a guess where nobody has to guess."""
    if ioctl and guess:
        raise UsageError("--guess goes with --no-ioctl: where the kernel has the ioctl, nobody guesses")
    return Config(
        dialect=Dialect(dialect),
        ioctl=ioctl,
        profile=mapping_profile(profile),
        guess=MapCache[(guess or "cached").upper()],
    )


def one_platform(name: str | None, firmware: FirmwareName | None, bar: BarName | None) -> Platform:
    """The platform; on x86 with SeaBIOS and the BAR above 4 GiB unless it is said otherwise."""
    if name is None:
        raise UsageError(f"which hardware? --platform {', '.join(PLATFORMS)}")
    return platforms([name], firmware, bar)[0]


def platforms(names: Iterable[str], firmware: FirmwareName | None, bar: BarName | None) -> list[Platform]:
    """Every variant of the platforms that has this firmware and this place of the BAR; None: any.

    Raises UsageError for an unknown name, or if nothing is left, because neither matters there.
    """
    chosen = [known("platform", name, PLATFORMS) for name in dict.fromkeys(names)]
    found = [
        each
        for name in chosen
        for each in variants(name)
        if (firmware is None or each.firmware is Firmware(firmware)) and (bar is None or each.bar is Bar(bar))
    ]
    if not found:
        matter = [name for name in PLATFORMS if next(variants(name)).firmware is not None]
        options = " and ".join(option for option, value in (("--firmware", firmware), ("--bar", bar)) if value)
        raise UsageError(f"{options}: of no effect on {', '.join(chosen)}; only on {', '.join(matter)}")
    return found


def named_features(text: str | None) -> frozenset[Feature] | None:
    """Of ``--features``: names with commas between, or "none"; None: it was not said. Raises UsageError."""
    if text is None:
        return None
    names = (
        [] if text.strip().lower() == "none" else [name.strip().upper().removeprefix("F_") for name in text.split(",")]
    )
    for name in names:
        if name not in Feature.__members__:
            known = ", ".join(feature.name.lower() for feature in Feature)
            raise UsageError(f"no feature {printable(name.lower())!r}; there are {known}, and none")
    return frozenset(Feature[name] for name in names)


def named_map_info(text: str) -> tuple[BlobId, MapCache]:
    """Of ``--blob-id``: ID=WORD. Raises UsageError."""
    number, _, word = text.partition("=")
    try:
        blob_id = int(number, 0)
        if not 0 <= blob_id < 1 << 64:
            raise ValueError
        return BlobId(blob_id), MapCache[word.upper()]
    except (ValueError, KeyError):
        words = "|".join(info.name.lower() for info in MapCache)
        raise UsageError(f"--blob-id {printable(text)!r}: it is ID={words}, such as 0x103=wc") from None


def words(platform: Platform) -> str:
    """``amd, OVMF, BAR above 4 GiB``; where firmware and BAR do not matter, the name."""
    if platform.firmware is None or platform.bar is None:
        return platform.name
    side = "above" if platform.bar is Bar.ABOVE_4G else "below"
    return f"{platform.name}, {_FIRMWARE[platform.firmware]}, BAR {side} 4 GiB"


_FIRMWARE = {Firmware.SEABIOS: "SeaBIOS", Firmware.OVMF: "OVMF"}
