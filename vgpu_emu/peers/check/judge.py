"""What a guest found, judged: what the device offers decides what is expected of it."""

import re
from collections.abc import Iterator, Mapping

from vgpu_emu.attributes.mtrr import Bar
from vgpu_emu.peers.check.blobs import BLOBS, Blob, predicted
from vgpu_emu.peers.check.findings import Finding, Findings
from vgpu_emu.peers.check.memory import ANSWER
from vgpu_emu.peers.check.pictures import SHOULD_SHOW
from vgpu_emu.peers.check.rows import Outcome, Row, compared, counted
from vgpu_wire.context_stream import BlobTag
from vgpu_wire.device import Feature

#: what a device offers; None: one that nobody has told what to offer
Offers = frozenset[Feature] | None
#: features as the driver's debugfs names them
_WORDS = {
    Feature.VIRGL: "virgl",
    Feature.EDID: "edid",
    Feature.RESOURCE_UUID: "resource uuid",
    Feature.RESOURCE_BLOB: "blob resources",
    Feature.CONTEXT_INIT: "context init",
}
#: PAT: [mem 0x0000000800000000-0x0000000800010000] write-combining
_MEMTYPE = re.compile(r"\[mem 0x(?P<start>[0-9a-f]+)-0x(?P<end>[0-9a-f]+)\] (?P<type>[a-z-]+)$")
_COMPLAINT = re.compile(r"\*ERROR\*|WARNING:|BUG:|Oops|Call Trace|refcount_t")
_4G = 1 << 32


def driver(found: Findings, offers: Offers) -> Iterator[Row]:
    """Which driver Linux bound, and with which features."""
    bound = found.one("driver")
    name = bound["text"].rpartition("/")[2] if bound else "none"
    yield compared("driver", "bound", "virtio-pci, virtio_gpu", f"{name}, virtio_gpu" if bound else "nothing")
    capsets = [finding["id"] for finding in found.named("capset")]
    yield Row("driver", "capability sets", "", ", ".join(capsets) or "none", Outcome.SEEN)
    lines = dict(_debugfs(found))
    seen = ", ".join(word for word in _WORDS.values() if lines.get(word) == "yes") or "none"
    if offers is None:
        yield Row("driver", "features", "", seen, Outcome.SEEN)
    else:
        expected = ", ".join(word for feature, word in _WORDS.items() if feature in offers) or "none"
        yield compared("driver", "features", expected, seen)


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


def fences(found: Findings, offers: frozenset[Feature]) -> Iterator[Row]:
    """Fences of the context's timeline and of four rings; a short command beside a long one on another ring."""
    rings = 4 if Feature.CONTEXT_INIT in offers else 0
    waits = [found.one("fence", ring=ring) for ring in range(-1, rings)]
    late = [wait is not None and wait.number("waited_us") >= wait.number("work_us") > 0 for wait in waits]
    yield counted("fence", "signalled after its work", late, "timelines")
    if rings:
        seen = found.one("rings")
        words = seen["independent"] if seen else _refusal(found, "rings", "ring")
        yield compared("fence", "rings are independent", "yes", words)


def _refusal(found: Findings, *names: str) -> str:
    """Why it is not there."""
    for name in names:
        refused = found.one("refused", what=name)
        if refused:
            return refused["errno"]
    return "not seen"


def sharing(found: Findings, what: str) -> Row:
    """Export and import of a "dumb" or a "blob" buffer."""
    prime = found.one("prime", of=what)
    words = [prime[key] for key in ("exported", "imported", "same_bytes")] if prime else []
    seen = ", ".join(words) or _refusal(found, "prime-export", "prime-import")
    return compared("prime", f"{what} buffer exported, imported, same bytes", "yes, yes, yes", seen)


def uuid(found: Findings) -> Row:
    """The UUID that Linux asks the device for when it exports a blob: by its own tracepoints."""
    trace = " ".join(line["text"] for line in found.named("trace"))
    asked, told = "type=0x10b" in trace, "type=0x1105" in trace
    words = {(True, True): "RESP_OK_RESOURCE_UUID", (True, False): "no UUID in the answer"}
    return compared("uuid", "RESOURCE_ASSIGN_UUID", "RESP_OK_RESOURCE_UUID", words.get((asked, told), "never asked"))


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


def judge(found: Findings, offers: Offers, bar: Bar | None, screens: Mapping[str, str]) -> list[Row]:
    """Everything about one guest. bar: where its host visible region is to be, if it has one."""
    rows = [*driver(found, offers), sharing(found, "dumb")]
    features = offers or frozenset()
    if bar is not None and {Feature.VIRGL, Feature.RESOURCE_BLOB} <= features:
        rows += [*memtypes(found, bar), *data(found), sharing(found, "blob")]
        rows += [uuid(found)] if Feature.RESOURCE_UUID in features else []
    if Feature.VIRGL in features:
        rows += fences(found, features)
    return [*rows, *screen(found, screens), *rates(found), complaints(found)]
