"""What the commands have found, as stories for the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from vgpu_emu.attributes.alias_rules import Verdict
from vgpu_emu.attributes.derivation import Derivation
from vgpu_emu.attributes.platform import Platform
from vgpu_emu.attributes.reports import Case, Report
from vgpu_emu.attributes.walkthrough import Walkthrough
from vgpu_emu.cli.choices import words
from vgpu_emu.explanation import Explanation, explain
from vgpu_emu.matrix import Row
from vgpu_emu.propagation import Propagation
from vgpu_emu.replaying import HOST_VISIBLE, Difference
from vgpu_emu.replaying import Outcome as Replayed
from vgpu_emu.report.kinds import host_kind, map_info_kind, pgprot_kind
from vgpu_emu.report.story import Fact, Outcome, Run, Story, Walk
from vgpu_emu.trace.log import Event, Message
from vgpu_emu.trace.words import map_info_words
from vgpu_emu.vocabulary import HostAttribute, Pgprot

#: differences of a replay that a page lists
MAX_DIFFERENCES = 100
_OUTCOMES = {
    Verdict.ALLOWED: Outcome.AGREE,
    Verdict.TOLERATED: Outcome.TOLERATED,
    Verdict.MISMATCHED: Outcome.CONFLICT,
}
_BUFFERS = {
    HostAttribute.WC: "a write-combined buffer",
    HostAttribute.CACHED: "a cached buffer",
    HostAttribute.INCOHERENT: "a cached buffer of a GPU that does not snoop",
    HostAttribute.UNKNOWN: "a buffer whose driver does not tell",
}
_DEMO = (
    "A driver on the host exports a buffer, and a guest maps it. How to cache it the guest learns from one number, "
    "map_info, in the answer to RESOURCE_MAP_BLOB. Once the VMM has to guess it, and once it can ask the kernel."
)
_MATRIX = (
    "What each VMM tells a guest of each exporter's buffer, and what the guest's mapping then becomes. What the guest "
    "is told comes from running the pipeline, what becomes of it from the models of the hardware."
)
_REPLAY = (
    "The requests that a driver once sent, sent again to the emulated device, and its answers beside those that were "
    "recorded. Compared are the type of each answer, the fence in it, and map_info of blobs that were named."
)
_LOG = "Every message of an event log, byte by byte, what the parties noted, and the map of the host visible region."
_CASE = "The guest writes, tells the GPU, and the GPU reads, some times over."
_WALK = "Host, guest and GPU write the same bytes in turn, and the next one reads them."


def demo_story(runs: Sequence[Propagation]) -> Story:
    """Runs of one buffer, with a platform."""
    first = runs[0]
    platform = first.config.platform
    assert platform is not None, "the page shows what the hardware makes of it"
    settings = [
        ("exporter", first.exporter.name.lower()),
        ("dialect", first.config.dialect.value),
        ("profile", first.config.profile.name),
        ("platform", words(platform)),
    ]
    told = [_run(run, explain(run)) for run in runs]
    return Story(title=f"What becomes of {_BUFFERS[first.host_attribute]}", lede=_DEMO, settings=settings, runs=told)


def matrix_story(rows: Sequence[Row], kernel: str) -> Story:
    """kernel: what the host's can do."""
    title = "Which cache attribute does a guest get?"
    return Story(title=title, lede=_MATRIX, settings=[("kernel", kernel)], matrix=rows)


def report_story(report: Report, runs: Sequence[tuple[Case, Walkthrough]]) -> Story:
    """A bug report, its cases side by side."""
    told = [_case(case, walk) for case, walk in runs]
    return Story(title=report.reference, lede=f"{report.seen} {report.why}", runs=told)


def replay_story(name: str, profile: str, replayed: Replayed, features: str | None) -> Story:
    """A capture of this name, replayed under a profile. features: as the command was told them."""
    differences = replayed.differences
    settings = [("capture", name), ("profile", profile), ("features", features or "inferred from the answers")]
    listed = f" The first {MAX_DIFFERENCES} differences are listed." if len(differences) > MAX_DIFFERENCES else ""
    run = Run(
        name=f"The capture, answered by {profile}",
        outcome=Outcome.DIFFERENT if differences else Outcome.SAME,
        says=f"{replayed.same} of {replayed.commands} commands are answered as recorded.{listed}",
        happens=[_difference(each) for each in differences[:MAX_DIFFERENCES]],
        events=replayed.events,
        region_size=HOST_VISIBLE,
    )
    return Story(title="Does the device answer as recorded?", lede=_REPLAY, settings=settings, runs=[run])


def log_story(name: str, runs: Mapping[str, Sequence[Event]]) -> Story:
    """The events of a file of this name, and nothing that they do not say themselves. runs: name -> events."""
    told = [_recorded(run, events) for run, events in runs.items()]
    return Story(title="What crossed the links", lede=_LOG, settings=[("log", name)], runs=told)


def _recorded(name: str, events: Sequence[Event]) -> Run:
    messages = sum(isinstance(event, Message) for event in events)
    says = f"{messages} messages, {len(events) - messages} notes."
    return Run(name=name or "The run", outcome=Outcome.RECORDED, says=says, events=events, region_size=HOST_VISIBLE)


def _difference(found: Difference) -> tuple[str, str]:
    says = f"#{found.order} {found.command}: {found.what} is {found.actual}; recorded was {found.expected}."
    return says, ", ".join(found.because)


def _run(run: Propagation, explanation: Explanation) -> Run:
    judgement, derivation = explanation.judgement, explanation.derivation
    unjudged = Outcome.UNKNOWN if derivation else Outcome.REFUSED
    asks = "With DMA_BUF_IOCTL_INFO: the VMM asks"
    return Run(
        name=asks if run.config.ioctl else "Without DMA_BUF_IOCTL_INFO: the VMM guesses",
        outcome=_OUTCOMES[judgement.verdict] if judgement else unjudged,
        says=" ".join(sentence.says for sentence in explanation.outcome) or "Nothing is mapped.",
        happens=[(sentence.says, sentence.source) for sentence in explanation.happens],
        events=run.events,
        facts=_facts(run),
        derivation=derivation,
        conflicts=run.aliases,
        platform=run.config.platform,
        region_size=run.config.host_visible,
        walk=_walk(_WALK, run.host_attribute, derivation, run.config.platform, explanation.walk),
        remedies=explanation.remedies,
    )


def _facts(run: Propagation) -> list[Fact]:
    info, pgprot = run.wire_map_info, run.guest_pgprot
    wire: tuple[Any, ...] = (f"{info} ({map_info_words(info)})", map_info_kind(info)) if info is not None else ("-",)
    return [
        _exporter(run.host_attribute),
        Fact("VMM", "answers RESOURCE_MAP_BLOB", run.response),
        Fact("wire", "map_info in that answer", *wire),
        _guest(pgprot) if pgprot else Fact("guest", "maps it with pgprot", "not mapped"),
    ]


def _exporter(attribute: HostAttribute) -> Fact:
    return Fact("exporter", "maps it on the host's CPU", attribute.value, host_kind(attribute))


def _guest(pgprot: Pgprot) -> Fact:
    return Fact("guest", "maps it with pgprot", pgprot.value, pgprot_kind(pgprot))


def _case(case: Case, walk: Walkthrough) -> Run:
    return Run(
        name=case.title,
        outcome=Outcome.WRONG if walk.damage else Outcome.RIGHT,
        says=f"{words(case.platform)}: {walk.system.transfers} transfers of cache lines.",
        facts=[_exporter(case.host), _guest(case.pgprot)],
        derivation=case.derive(),
        platform=case.platform,
        walk=_walk(_CASE, case.host, case.derive(), case.platform, walk),
    )


def _walk(
    says: str, host: HostAttribute, derivation: Derivation | None, platform: Platform | None, walk: Walkthrough | None
) -> Walk | None:
    """None: nothing is mapped, or nobody knows how the exporter maps it."""
    views = platform.host_views(host) if platform else None
    if walk is None or derivation is None or views is None:
        return None
    return Walk(says, {"host": views[0], "guest": derivation.effective, "gpu": views[1]}, walk.log)
