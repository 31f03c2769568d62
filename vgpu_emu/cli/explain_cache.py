"""``vgpu-emu explain cache``: what becomes of a buffer's cache attribute on some hardware, and what to do about it."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import Annotated

import msgspec
from cyclopts import Parameter
from msgspec.structs import replace

from vgpu_emu.cli.choices import (
    BarName,
    DialectName,
    ExporterName,
    FirmwareName,
    GuessName,
    config_of,
    one_platform,
    words,
)
from vgpu_emu.cli.style import Paint, painter
from vgpu_emu.explanation import Explanation, Sentence, damage_words, fields
from vgpu_emu.explanation import explain as explanation_of
from vgpu_emu.matrix import row
from vgpu_emu.propagation import Propagation, propagate_in_lockstep
from vgpu_wire.context_stream import ExporterKind


def cache(
    *,
    exporter: ExporterName = "wc",
    platform: str | None = None,
    firmware: FirmwareName | None = None,
    bar: BarName | None = None,
    dialect: DialectName = "rfc1",
    profile: str = "strict",
    no_ioctl: Annotated[bool, Parameter(negative=())] = False,
    guess: GuessName | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Say what becomes of a buffer's cache attribute on some hardware, whether data is lost, and what to do about it.

    What the VMM answers comes from running the pipeline, the rest from the attribute models; every remedy was tried on
    the coherency model, those that do not help too.

    Examples:

        vgpu-emu explain cache --exporter wc --platform arm64-fwb

        vgpu-emu explain cache --exporter cached --platform amd --firmware ovmf

        vgpu-emu explain cache --exporter wc --platform intel --no-ioctl --json

    Parameters
    ----------
    exporter
        Who exports the buffer: wc, cached, incoherent, silent or drm.
    platform
        The hardware: intel, intel-guest-pat, amd, arm64, arm64-fwb, riscv-svpbmt or riscv.
    firmware
        Who set up the guest's MTRRs, on x86: seabios, which is the default, or ovmf.
    bar
        Where the host visible region is, on x86: above-4g, which is the default, or below-4g.
    dialect
        Which posting of the kernel series: rfc1 or rfc3.
    profile
        Whose VMM: strict, qemu-virgl, crosvm or another that vgpu-emu profiles lists and that has blobs.
    no_ioctl
        On a kernel without DMA_BUF_IOCTL_INFO, where every VMM takes the renderer's guess.
    guess
        That guess: cached, which is the default, uncached or wc.
    json_
        One JSON object instead of text.
    """
    hardware = one_platform(platform, firmware, bar)
    config = replace(config_of(dialect, profile, not no_ioctl, guess), platform=hardware)
    run = propagate_in_lockstep(ExporterKind[exporter.upper()], config)
    explanation = explanation_of(run)
    if json_:
        here = msgspec.to_builtins(row(run, hardware))
        print(json.dumps({"schema": 1, "ioctl": run.config.ioctl, **here, **fields(explanation)}))
    else:
        print(*_as_text(run, explanation, painter(sys.stdout)), sep="\n")


def _as_text(run: Propagation, explanation: Explanation, paint: Paint) -> Iterator[str]:
    assert run.config.platform is not None
    yield paint("bold", f"A buffer of exporter {run.exporter.name.lower()} on {words(run.config.platform)}")
    yield from map(_told, explanation.happens)
    if explanation.derivation is None:
        return
    yield paint("bold", "What the hardware makes of it")
    for layer in explanation.derivation.layers:
        yield _filled(f"{layer.name}: {layer.says}", layer.source)
    yield paint("bold", "What that means")
    yield from map(_told, explanation.outcome)
    if explanation.walk is not None:
        wrong = explanation.walk.damage
        reads = sum(" reads " in f" {entry.action} " for entry in explanation.walk.log)
        yield _filled(f"On the coherency model {len(wrong)} of {reads} reads go wrong{':' if wrong else '.'}", "")
        yield from (_filled(f"{damage_words(damage)}.", "", "    ", "    ") for damage in wrong)
    for title, helps, mark in (("What to do", True, "+"), ("What does not help", False, "-")):
        tried = [remedy for remedy in explanation.remedies if remedy.helps is helps]
        if tried:
            yield paint("bold", title)
            yield from (_filled(f"{mark} {remedy.says}", remedy.source, after="    ") for remedy in tried)


def _told(sentence: Sentence) -> str:
    return _filled(sentence.says, sentence.source)


def _filled(says: str, source: str, first: str = "  ", after: str = "  ") -> str:
    """Indented lines of the terminal's width, the source behind in brackets."""
    width = min(shutil.get_terminal_size().columns, 110)
    text = f"{says} [{source}]" if source else says
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=after, break_on_hyphens=False)
