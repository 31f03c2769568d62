"""The profiles that come with the emulator, and those that others add through the entry point ``vgpu_emu.profiles``."""

from typing import TYPE_CHECKING

from vgpu_emu.vmm.catalogue_qemu import QEMU_2D, QEMU_RUTABAGA, QEMU_VIRGL, VHOST_USER_GPU
from vgpu_emu.vmm.catalogue_rust import CROSVM, LIBKRUN, VHOST_DEVICE_GPU
from vgpu_emu.vmm.profiles import Profile

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

STRICT = Profile(name="strict", models="the spec, with its most specific error codes", correct=True)
PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        STRICT,
        QEMU_2D,
        QEMU_VIRGL,
        QEMU_RUTABAGA,
        CROSVM,
        LIBKRUN,
        VHOST_USER_GPU,
        VHOST_DEVICE_GPU,
    )
}
ENTRY_POINTS = "vgpu_emu.profiles"


class ProfileError(LookupError):
    """There is no such profile, or what was installed as one is none; says what there is."""


def find_profile(name: str) -> Profile:
    """A profile by its name: one of PROFILES, else one that another package adds. Raises ProfileError."""
    if name in PROFILES:
        return PROFILES[name]
    added = _added()
    if name not in added:
        raise ProfileError(f"no profile {name!r}; there are {', '.join(sorted({*PROFILES, *added}))}")
    return _load(added[name])


def added_profiles() -> list[str]:
    """Names of the profiles that other packages add. None of them is loaded."""
    return sorted(_added())


def _added() -> "dict[str, EntryPoint]":
    # takes a tenth of the package's import, which nobody waits for who names a profile that is here
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS) if point.name not in PROFILES}


def _load(point: "EntryPoint") -> Profile:
    try:
        profile = point.load()
    except Exception as error:
        # another package's code: whatever is wrong with it, it is not our bug
        raise ProfileError(f"profile {point.name!r} ({point.value}) cannot be loaded: {_one_line(error)}") from error
    if not isinstance(profile, Profile):
        raise ProfileError(f"profile {point.name!r} ({point.value}) is {type(profile).__name__}, no Profile")
    if profile.name != point.name:
        raise ProfileError(f"profile {point.name!r} ({point.value}) calls itself {profile.name!r}")
    return profile


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
