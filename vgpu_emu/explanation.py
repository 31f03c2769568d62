"""A buffer's way told in sentences, each with its source: what happens to it on a platform, and what to do."""

import os
from collections.abc import Iterator
from contextlib import suppress
from errno import errorcode
from typing import Any, NamedTuple

from vgpu_emu.attributes.alias_rules import Judgement, Verdict, verdict
from vgpu_emu.attributes.arm64_kvm import Arm64Guest, HostVma
from vgpu_emu.attributes.derivation import Derivation, Kind
from vgpu_emu.attributes.platform import Platform
from vgpu_emu.attributes.remedies import Remedy, Setting, remedies
from vgpu_emu.attributes.walkthrough import Damage, Walkthrough
from vgpu_emu.propagation import Propagation
from vgpu_emu.trace.ladder import rungs
from vgpu_emu.trace.log import Note
from vgpu_emu.trace.words import map_info_words
from vgpu_emu.vocabulary import Dialect, HostAttribute, Pgprot
from vgpu_wire.context_stream import ExporterKind


class Sentence(NamedTuple):
    """What is so, and where that is written."""

    says: str
    source: str


class Explanation(NamedTuple):
    """happens: the way from the exporter to the guest's driver. derivation: from there to the hardware; None: nothing
    was mapped. judgement: None also for an exporter that does not tell. outcome: what all this means. walk: the same
    buffer on the coherency model. remedies: what was tried, those that help first."""

    happens: list[Sentence]
    derivation: Derivation | None
    judgement: Judgement | None
    outcome: list[Sentence]
    walk: Walkthrough | None
    remedies: list[Remedy]


def explain(run: Propagation) -> Explanation:
    """run: with a platform."""
    platform, derivation = run.config.platform, run.derivation
    assert platform is not None, "what becomes of a mapping depends on the platform"
    happens = [_exporter(run, platform), _vmm(run), _guest(run)]
    if derivation is None:
        return Explanation(happens, None, None, [], None, [])
    known = run.host_attribute is not HostAttribute.UNKNOWN
    walk = Setting(platform, run.host_attribute, derivation.pgprot).run() if known else None
    outcome = [*_wish(platform, derivation), *_outcome(run, platform, derivation), *_caveats(run, platform)]
    tried = remedies(platform, run.host_attribute, derivation.pgprot)
    return Explanation(happens, derivation, run.judgement, outcome, walk, tried)


def fields(explanation: Explanation) -> dict[str, Any]:
    """For JSON."""
    judgement, derivation = explanation.judgement, explanation.derivation
    return {
        "rule": judgement.rule if judgement else None,
        "happens": [sentence._asdict() for sentence in explanation.happens],
        "layers": [layer._asdict() for layer in derivation.layers] if derivation else [],
        "outcome": [sentence._asdict() for sentence in explanation.outcome],
        "wrong_reads": [damage_words(damage) for damage in explanation.walk.damage] if explanation.walk else None,
        "remedies": [
            {"says": remedy.says, "source": remedy.source, "helps": remedy.helps} for remedy in explanation.remedies
        ],
    }


#: whose buffers are like that (drivers/gpu/drm/msm/msm_gem.c and others)
_LIKE = {
    ExporterKind.WC: "drm/msm, MSM_BO_WC",
    ExporterKind.CACHED: "drm/msm, MSM_BO_CACHED_COHERENT",
    ExporterKind.INCOHERENT: "drm/msm, MSM_BO_CACHED",
    ExporterKind.SILENT: "dma_buf_ops without the op: i915, amdgpu, udmabuf",
    ExporterKind.DRM: "drm_gem_prime_dmabuf_ops, a driver without the hook",
}
_MAPS = {
    HostAttribute.WC: "maps the buffer write-combined ({cpu}), and its GPU does not look into the CPU's cache",
    HostAttribute.CACHED: "maps the buffer cached ({cpu}), and its GPU looks into the CPU's cache",
    HostAttribute.INCOHERENT: "maps the buffer cached ({cpu}), but its GPU does not look into the CPU's cache: the "
    "driver flushes around each use",
    HostAttribute.UNKNOWN: "does not tell how it maps the buffer",
}


def _exporter(run: Propagation, platform: Platform) -> Sentence:
    views = platform.host_views(run.host_attribute)
    maps = _MAPS[run.host_attribute].format(cpu=views[0].value if views else "")
    return Sentence(f"The exporter, {run.exporter.name.lower()}, {maps}.", _LIKE[run.exporter])


def _vmm(run: Propagation) -> Sentence:
    """Whether the VMM knows, and from whom."""
    notes = {event.name: event.values for event in run.events if isinstance(event, Note)}
    ladder = list(rungs(run.events))
    asked = next((number for number, rung in enumerate(ladder) if "DMA_BUF_IOCTL_INFO" in rung.says), None)
    answer = ladder[asked + 1] if asked is not None else None
    says = "?" if answer is None else answer.detail if answer.says == "0" else answer.says
    if "guessed" in notes:
        guess = notes["guessed"]["map_info"]
        return Sentence(
            f"The VMM asks the dma-buf by DMA_BUF_IOCTL_INFO and gets {says}, as on every released kernel; so it takes "
            f"the renderer's guess, {guess}.",
            "virgl_renderer_resource_get_map_info",
        )
    posting = "first posting, rfc1" if run.config.dialect is Dialect.RFC1 else "third posting, rfc3"
    asks = f"The VMM asks the dma-buf by DMA_BUF_IOCTL_INFO ({posting}) and gets {says}"
    failed = notes.get("map_info_failed")
    if failed and "errno" not in failed:
        asks += ", which is no leave to map it"
    return Sentence(f"{asks}.", "dri-devel, 2022: dma-buf map-info support; never merged")


_PROTECTION = {
    Pgprot.CACHED: "leaves the page protection cached",
    Pgprot.WRITECOMBINE: "maps it with pgprot_writecombine",
    Pgprot.NONCACHED: "maps it with pgprot_noncached",
}


def _guest(run: Propagation) -> Sentence:
    if run.wire_map_info is None or run.guest_pgprot is None:
        answer, does = run.response, "refuses mmap with EINVAL, and nothing is mapped"
    else:
        answer = f"map_info {run.wire_map_info} ({map_info_words(run.wire_map_info)})"
        does = _PROTECTION[run.guest_pgprot]
    says = f"{run.config.profile.name} answers RESOURCE_MAP_BLOB with {answer}; Linux {does}."
    return Sentence(says, "drivers/gpu/drm/virtio/virtgpu_vram.c")


_TONES = {
    Verdict.ALLOWED: "That goes with the exporter's mapping and its GPU's",
    Verdict.TOLERATED: "That is right beside the exporter's mapping, but slower",
    Verdict.MISMATCHED: "That does not go with the exporter's mapping or its GPU's",
}


def _outcome(run: Propagation, platform: Platform, derivation: Derivation) -> Iterator[Sentence]:
    effective, judgement = derivation.effective, run.judgement
    if judgement is not None:
        yield Sentence(
            f"The guest's accesses are {effective.value}. {_TONES[judgement.verdict]}: {judgement.rule}.", ""
        )
        return
    yield Sentence(f"The guest's accesses are {effective.value}. Nobody knows whether that is right.", "")
    for host, says in ((HostAttribute.WC, "write-combined"), (HostAttribute.CACHED, "cached, with a GPU that snoops")):
        if then := verdict(platform, host, effective):
            yield Sentence(f"If the exporter maps it {says}: {then.verdict.value}; {then.rule}.", "")


_WISH = {Pgprot.CACHED: Kind.CACHED, Pgprot.WRITECOMBINE: Kind.COMBINING, Pgprot.NONCACHED: Kind.UNCACHED}
#: which layer can overrule the guest's driver, where the guest's kernel has not
_OVERRULES = {"x86": -2, "arm64": -2, "riscv": 1}


def _wish(platform: Platform, derivation: Derivation) -> Iterator[Sentence]:
    """Why the driver does not get what it asked for."""
    if derivation.effective.kind is _WISH[derivation.pgprot]:
        return
    if derivation.pgprot is Pgprot.CACHED:
        says = f"The driver asked for a cached mapping; its kernel made that {derivation.memtype}"
        yield Sentence(f"{says}: every access goes to memory.", "arch/x86/mm/pat/memtype.c pat_x_mtrr_type")
    else:
        layer = derivation.layers[_OVERRULES[platform.model.family]]
        asked = f"The driver asked for {derivation.pgprot.value} and does not get it"
        yield Sentence(f"{asked}, whatever map_info says: {layer.name}, {layer.says}.", layer.source)


def _caveats(run: Propagation, platform: Platform) -> Iterator[Sentence]:
    """What the model of one page leaves out and an engineer will meet."""
    if run.host_attribute is HostAttribute.INCOHERENT:
        says = "The third posting calls such a buffer INCOHERENT, which means: do not map it into a guest at all."
        yield Sentence(says, "dri-devel, 2022-08-15")
    views = platform.host_views(run.host_attribute)
    if isinstance(platform.model, Arm64Guest) and views and views[0].kind is Kind.CACHED:
        try:
            platform.model.check_memslot(HostVma(pfnmap=True))
        except OSError as refused:
            yield Sentence(
                "That holds for a memfd, or a mapping put into a memslot that exists. A memslot of its own for a "
                "cached buffer of a drm driver, whose mmap is VM_PFNMAP, is refused: "
                f"{errorcode[refused.errno or 0]} ({os.strerror(refused.errno or 0)}).",
                "arch/arm64/kvm/mmu.c kvm_arch_prepare_memory_region",
            )


def damage_words(damage: Damage) -> str:
    """``the gpu reads 'cleared' and not 'drawn', which is in guest``."""
    got, expected = (text(value) for value in (damage.got, damage.expected))
    where = f"which {'is' if damage.where else 'is nowhere any more'}"
    if damage.where:
        where += f" in {' and '.join(damage.where)}"
    return f"{damage.who} reads {got} and not {expected}, {where}"


def text(value: bytes) -> str:
    """Bytes as somebody wrote them, if they are text."""
    with suppress(UnicodeDecodeError):
        decoded = value.decode("ascii").rstrip(" \0")
        if decoded.isprintable():
            return repr(decoded)
    return value.hex(" ")
