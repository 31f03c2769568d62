"""What a guest found, judged: for each thing what was expected, what was seen, and whether that is the same."""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from vgpu_emu.attributes.mtrr import Bar
from vgpu_emu.peers.check.blobs import BLOBS, Blob, predicted
from vgpu_emu.peers.check.findings import Finding, Findings
from vgpu_emu.peers.check.memory import ANSWER
from vgpu_emu.peers.check.pictures import SHOULD_SHOW
from vgpu_wire.context_stream import BlobTag

#: features as debugfs names them, of a device that renders
RENDERS = ("virgl", "edid", "resource uuid", "blob resources", "context init")
#: PAT: [mem 0x0000000800000000-0x0000000800010000] write-combining
_MEMTYPE = re.compile(r"\[mem 0x(?P<start>[0-9a-f]+)-0x(?P<end>[0-9a-f]+)\] (?P<type>[a-z-]+)$")
_COMPLAINT = re.compile(r"\*ERROR\*|WARNING:|BUG:|Oops|Call Trace|refcount_t")
_4G = 1 << 32


class Outcome(Enum):
    OK = "ok"
    DIFFERS = "differs"
    #: a figure: nothing to compare it with
    SEEN = "seen"
    #: the device does not offer it, and nobody said that it would
    ABSENT = "absent"


class Row(NamedTuple):
    """One thing. topic: what it is about. expected: empty where nothing was."""

    topic: str
    what: str
    expected: str
    seen: str
    outcome: Outcome


def compared(topic: str, what: str, expected: str, seen: str) -> Row:
    return Row(topic, what, expected, seen, Outcome.OK if expected == seen else Outcome.DIFFERS)


def counted(topic: str, what: str, right: Sequence[bool], of: str) -> Row:
    return compared(topic, what, f"{len(right)} of {len(right)} {of}", f"{sum(right)} of {len(right)} {of}")


def driver(found: Findings, renders: bool) -> Iterator[Row]:
    """Which driver Linux bound, and with which features."""
    bound = found.one("driver")
    name = bound["text"].rpartition("/")[2] if bound else "none"
    yield compared("driver", "bound", "virtio-pci, virtio_gpu", f"{name}, virtio_gpu" if bound else "nothing")
    capsets = [finding["id"] for finding in found.named("capset")]
    yield Row("driver", "capability sets", "", ", ".join(capsets) or "none", Outcome.SEEN)
    features = [text for text, on in _debugfs(found) if on == "yes" and text != "indirect"]
    if renders:
        missing = [name for name in RENDERS if name not in features]
        seen = ", ".join(features) + (f"; without {', '.join(missing)}" if missing else "")
        yield Row("driver", "features", ", ".join(RENDERS), seen, Outcome.DIFFERS if missing else Outcome.OK)
    else:
        yield Row("driver", "features", "", ", ".join(features) or "none", Outcome.SEEN)


def _debugfs(found: Findings) -> Iterator[tuple[str, str]]:
    for line in found.named("debugfs"):
        name, _, value = line["text"].partition(":")
        yield name.strip(), value.strip()


def memtypes(found: Findings, bar: Bar) -> Iterator[Row]:
    """For each blob the attribute that Linux lists while it is mapped, beside the model's."""
    for blob in BLOBS:
        entry = found.one("memtype", blob=blob.blob_id)
        seen = _listed(entry, bar) if entry else _refusal(found, "allocate", "blob-create", "blob-map")
        yield compared("attribute", blob.says, predicted(blob, bar), seen)


def _listed(entry: Finding, bar: Bar) -> str:
    """The type of an entry; where it lies too, if that is not where the BAR should be."""
    match = _MEMTYPE.search(entry["text"])
    if match is None:
        return entry["text"]
    placed = Bar.ABOVE_4G if int(match["start"], 16) >= _4G else Bar.BELOW_4G
    return match["type"] if placed is bar else f"{match['type']}, but {placed.value}"


def data(found: Findings) -> Iterator[Row]:
    """Bytes of each blob, both ways."""
    tags = [_value(found, "tag", "bytes", blob) == BlobTag(blob_id=blob.blob_id).build().hex() for blob in BLOBS]
    yield counted("data", "the host's tag, read by the guest", tags, "blobs")
    answers = [_value(found, "answer", "text", blob) == ANSWER.decode() for blob in BLOBS]
    yield counted("data", "the guest's greeting, answered in the host's memory", answers, "blobs")


def _value(found: Findings, name: str, key: str, blob: Blob) -> str:
    finding = found.one(name, blob=blob.blob_id)
    return finding[key] if finding else ""


def fences(found: Findings) -> Iterator[Row]:
    """Fences of the context's timeline and of four rings; a short command beside a long one on another ring."""
    waits = [found.one("fence", ring=ring) for ring in range(-1, 4)]
    late = [wait is not None and int(wait["waited_us"]) >= int(wait["work_us"]) for wait in waits]
    yield counted("fence", "signalled after its work", late, "timelines")
    rings = found.one("rings")
    yield compared("fence", "rings are independent", "yes", rings["independent"] if rings else _refusal(found, "rings"))


def _refusal(found: Findings, *names: str) -> str:
    """Why it is not there."""
    for name in names:
        refused = found.one("refused", what=name)
        if refused:
            return refused["errno"]
    return "not seen"


def sharing(found: Findings, renders: bool) -> Iterator[Row]:
    """Export and import; the UUID that Linux asks the device for when it exports."""
    for what in ("dumb", "blob") if renders else ("dumb",):
        prime = found.one("prime", of=what)
        seen = (
            f"{prime['exported']}, {prime['imported']}, {prime['same_bytes']}"
            if prime
            else _refusal(found, "prime-export")
        )
        yield compared("prime", f"{what} buffer exported, imported, same bytes", "yes, yes, yes", seen)
    if renders:
        trace = " ".join(line["text"] for line in found.named("trace"))
        asked, told = "type=0x10b" in trace, "type=0x1105" in trace
        words = {(True, True): "RESP_OK_RESOURCE_UUID", (True, False): "no UUID in the answer"}
        yield compared("uuid", "RESOURCE_ASSIGN_UUID", "RESP_OK_RESOURCE_UUID", words.get((asked, told), "never asked"))


def screen(found: Findings, screens: Mapping[str, str]) -> Iterator[Row]:
    """A mode, page flips, the cursor, and what was to be seen on the host."""
    mode, flips, cursor = found.one("mode"), found.one("flips"), found.one("cursor")
    yield Row("screen", "mode", "", mode["name"] if mode else _refusal(found, "resources", "setcrtc"), _seen(mode))
    yield compared("screen", "page flips with their events", "30", flips["count"] if flips else _refusal(found, "flip"))
    moved = f"set {cursor['set']}, moved {cursor['moves']} times" if cursor else _refusal(found, "cursor")
    yield compared("screen", "cursor", "set yes, moved 10 times", moved)
    yield compared("screen", "the guest's picture, on the host", SHOULD_SHOW["screen"], screens["screen"])
    yield compared("screen", "Linux's console, on the host", SHOULD_SHOW["console"], screens["console"])


def _seen(finding: Finding | None) -> Outcome:
    return Outcome.SEEN if finding else Outcome.DIFFERS


def rates(found: Findings) -> Iterator[Row]:
    """Figures, under TCG."""
    for name, what in (("execbuffer", "fenced EXECBUFFERs a second"), ("blob", "blob lives a second")):
        rate = found.one("rate", of=name)
        if rate:
            yield Row("rate", what, "", rate["per_second"], Outcome.SEEN)


def complaints(found: Findings) -> Row:
    """What Linux says that is no good sign."""
    bad = [line["text"] for line in found.named("dmesg") if _COMPLAINT.search(line["text"])]
    return compared("kernel", "no error, no warning of Linux", "none", "; ".join(bad) or "none")


def judge(found: Findings, renders: bool, bar: Bar | None, screens: Mapping[str, str]) -> list[Row]:
    """Everything about one guest."""
    rows = list(driver(found, renders))
    if renders and bar is not None:
        rows += [*memtypes(found, bar), *data(found), *fences(found)]
    else:
        rows.append(Row("blobs", "HOST3D blobs, rings", "", "not offered", Outcome.ABSENT))
    return [*rows, *sharing(found, renders), *screen(found, screens), *rates(found), complaints(found)]
