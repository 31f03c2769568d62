"""What a program is run on, in the reference's words."""

from enum import Enum

import msgspec

from vgpu_wire.device import FEATURE_NEEDS, Feature

PAGE = 4096


def displays(number: int) -> tuple[tuple[int, int], ...]:
    """So many, in pixels."""
    return (((64, 48), (32, 32), (48, 32), (32, 48)) * 4)[:number]


class Asks(Enum):
    """How the VMM learns how a blob may be mapped: from one of the two postings' ioctl, or from the renderer."""

    RFC1 = "rfc1"
    RFC3 = "rfc3"
    GUESS = "guess"


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """The device that a program runs on.

    features: bits that are offered, and that the first driver accepts. scanouts: sizes in pixels. capsets: (id,
    highest version, bytes). host_visible, memory: bytes of the host visible region and of guest memory, which starts
    at 0. asks, guess: where map_info comes from. real: the host's buffers have bytes. The others are what the device
    has room for.
    """

    features: int = 0x3F
    scanouts: tuple[tuple[int, int], ...] = displays(2)
    capsets: tuple[tuple[int, int, int], ...] = ((1, 1, 308), (2, 2, 1376), (4, 0, 160), (6, 0, 64))
    host_visible: int = 1 << 20
    blob_alignment: int = PAGE
    memory: int = 1 << 16
    asks: Asks = Asks.RFC1
    guess: int = 1
    resources: int = 32
    contexts: int = 8
    host_memory: int = 1 << 16
    image_lines: int = 1 << 10
    blob_bytes: int = 1 << 20
    entries: int = 64
    submit_bytes: int = 1 << 10
    fences: int = 16
    objects: int = 24
    object_bytes: int = 1 << 20
    real: bool = False

    def has(self, feature: Feature) -> bool:
        return bool(self.features >> feature & 1)

    def accepted(self, known: int | None) -> int:
        """Bits that a driver accepts which knows these features; None: all."""
        return self.features if known is None else with_needs(self.features & known)


def with_needs(features: int) -> int:
    """These bits, but of features that lack what they need: nothing says what a device does with those."""
    return features & ~sum(1 << feature for feature, need in FEATURE_NEEDS.items() if not features >> need & 1)
