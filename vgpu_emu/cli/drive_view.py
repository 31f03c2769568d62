"""How `drive` shows what it has found."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

from vgpu_emu.cli.style import printable
from vgpu_emu.drive.answer import Answer
from vgpu_emu.drive.comparing import Difference, Likeness
from vgpu_emu.drive.exploring import Findings
from vgpu_wire.device import Feature
from vgpu_wire.vhost_user import ProtocolFeature
from vgpu_wire.vring import RingFeature

_LEGEND = """\
=: the profile answers like the device; fence: but for the fence; after: but something before it went another way.
Other answers are the profile's own; ?: nobody has seen or read them."""
#: answers of profiles, as the profiles' own table abbreviates them
_SHORT = {
    "RESP_ERR_UNSPEC": "UN",
    "RESP_ERR_OUT_OF_MEMORY": "OOM",
    "RESP_ERR_INVALID_SCANOUT_ID": "SC",
    "RESP_ERR_INVALID_RESOURCE_ID": "RID",
    "RESP_ERR_INVALID_CONTEXT_ID": "CTX",
    "RESP_ERR_INVALID_PARAMETER": "PAR",
    "no bytes": "none",
    "no answer": "hang",
    "died": "dead",
}
#: VIRTIO_F_*: bits of the transport that are worth a name
_TRANSPORT = {32: "version_1", **{bit.value: bit.name.lower() for bit in RingFeature}}


def show(device: str, found: Findings, likenesses: list[Likeness]) -> None:
    print(printable(device))
    for name, value in offered(found).items():
        print(f"  {name:12} {value}")
    print()
    for line in _table(found, likenesses):
        print(line)
    for failure in found.failures:
        print(f"\nFAILED at {failure.condition}: {printable(failure.error)}")
    for line in _conclusion(found, likenesses):
        print(line)


def offered(found: Findings) -> dict[str, str]:
    """What the device offers, in words."""
    offer, hardware = found.offer, found.hardware
    scanouts = offer.config.num_scanouts
    return {
        "virtio-gpu": _names(feature.name.lower() for feature in Feature if feature in offer.gpu_features),
        "virtio": _names(name for bit, name in _TRANSPORT.items() if offer.features >> bit & 1),
        "vhost-user": _names(bit.name.lower() for bit in ProtocolFeature if offer.protocol_features >> bit & 1),
        "scanouts": str(scanouts) if scanouts else "none of its own: the VMM says how many",
        "displays": _names(f"{width}x{height}" for width, height in found.displays),
        "EDID": f"{len(found.edid)} bytes" if found.edid else "none",
        "capsets": _names(f"{number} (version {version}, {size} bytes)" for number, version, size in hardware.capsets),
        "host visible": f"{hardware.host_visible:#x} bytes" if hardware.host_visible else "no region",
    }


def _names(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


def _table(found: Findings, likenesses: list[Likeness]) -> Iterator[str]:
    """A row a condition: the device's answer, and beside it each profile's."""
    columns = [{each.condition: each for each in likeness.differences} for likeness in likenesses]
    heads = [likeness.profile.split("-") for likeness in likenesses]
    widths = [max(len(word) for word in [*head, "dead?"]) + 1 for head in heads]
    name_width = max(len(condition.name) for condition, _ in found.answers) + 1
    for words in zip_longest(*heads, fillvalue=""):
        yield _row("", "", words, name_width, widths)
    for condition, answer in found.answers:
        differing = [column.get(condition.name) for column in columns]
        cells = ["=" if d is None else _cell(d) for d in differing]
        yield _row(condition.name, answer.word, cells, name_width, widths)
    yield _LEGEND


def _row(name: str, answer: str, cells: Iterable[str], name_width: int, widths: list[int]) -> str:
    line = f"{name:{name_width}}{answer.removeprefix('RESP_'):24} "
    return (line + "".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))).rstrip()


def _cell(difference: Difference) -> str:
    """The profile's answer; where that is the same, what else is not."""
    profile, device = difference.profile, difference.device
    if profile.word != device.word:
        return _short(profile) + ("" if difference.verified else "?")
    return "fence" if profile.fence != device.fence else "after"


def _short(answer: Answer) -> str:
    return _SHORT.get(answer.word, "OK" if answer.word.startswith("RESP_OK") else answer.word)


def _conclusion(found: Findings, likenesses: list[Likeness]) -> Iterator[str]:
    yield ""
    for likeness in likenesses:
        yield f"{likeness.profile:18} {likeness.same} of {likeness.asked} answers alike"
    best = likenesses[0]
    if best.differences:
        yield f"\nWhere it is not {best.profile}:"
    for each in best.differences:
        seen = "" if each.verified else ", which nobody has seen or read"
        yield f"  {each.condition}: the device says {each.device}; the profile {each.profile}{seen}"
    reasons = Counter(found.skipped.values())
    for reason, number in reasons.items():
        yield f"\n{number} conditions were not asked about: {printable(reason)}"


def as_json(device: str, found: Findings, likenesses: list[Likeness]) -> dict[str, Any]:
    return {
        "schema": 1,
        "device": device,
        "offer": {
            "features": found.offer.features,
            "protocol_features": found.offer.protocol_features,
            "virtio_gpu": sorted(feature.name for feature in found.offer.gpu_features),
            "config": found.offer.config,
            "displays": found.displays,
            "edid": found.edid.hex(),
            "capsets": [{"id": i, "version": v, "size": s} for i, v, s in found.hardware.capsets],
            "host_visible": found.hardware.host_visible,
        },
        "answers": [
            {"condition": condition.name, "request": condition.request.hex(), "answer": answer}
            for condition, answer in found.answers
        ],
        "failures": found.failures,
        "skipped": found.skipped,
        "profiles": [
            {"name": each.profile, "asked": each.asked, "same": each.same, "differences": each.differences}
            for each in likenesses
        ],
    }
