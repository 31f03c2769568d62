"""A device's answers beside what each profile says."""

from collections.abc import Iterable

import msgspec

from vgpu_emu.drive.answer import Answer
from vgpu_emu.drive.exploring import Findings
from vgpu_emu.drive.model import predict
from vgpu_emu.vmm.profiles import Profile


class Difference(msgspec.Struct, frozen=True):
    """verified: whether the profile's answer was read or seen somewhere."""

    condition: str
    device: Answer
    profile: Answer
    verified: bool


class Likeness(msgspec.Struct, frozen=True):
    """How a profile answers the same requests."""

    profile: str
    asked: int
    differences: list[Difference]

    @property
    def same(self) -> int:
        return self.asked - len(self.differences)


def compare(found: Findings, profiles: Iterable[Profile]) -> list[Likeness]:
    """The most alike first."""
    likenesses = [_likeness(found, profile) for profile in profiles]
    return sorted(likenesses, key=lambda likeness: len(likeness.differences))


def _likeness(found: Findings, profile: Profile) -> Likeness:
    differences = []
    for condition, answer in found.answers:
        predicted = predict(profile, condition, found.hardware)
        if not answer.is_like(predicted.answer):
            differences.append(Difference(condition.name, answer, predicted.answer, predicted.verified))
    return Likeness(profile.name, len(found.answers), differences)
