"""``mermaid(events)``: the ladder as a sequenceDiagram, for Markdown that draws it."""

from collections.abc import Iterator, Mapping, Sequence

from vgpu_emu.report.threads import threads
from vgpu_emu.trace.ladder import rungs
from vgpu_emu.trace.log import GUEST, HOST, VMM, Event

PARTIES = (GUEST, VMM, HOST)
#: characters of a detail
MAX_DETAIL = 120


def mermaid(events: Sequence[Event]) -> str:
    """The diagram's text. Answers have dashed arrows; what a party notes stands over its line."""
    return mermaid_of_runs({"": events})


def mermaid_of_runs(runs: Mapping[str, Sequence[Event]]) -> str:
    """Several runs in one diagram, one below the other: name -> events."""
    lines = ["sequenceDiagram", *(f"    participant {party}" for party in PARTIES)]
    for name, events in runs.items():
        if name:
            lines.append(f"    Note over {GUEST},{HOST}: {_text(name)}")
        lines += _lines(events)
    return "\n".join(lines) + "\n"


def _lines(events: Sequence[Event]) -> Iterator[str]:
    for rung, thread in zip(rungs(events), threads(events), strict=True):
        detail = rung.detail if len(rung.detail) <= MAX_DETAIL else rung.detail[:MAX_DETAIL] + " ..."
        text = _text(f"{rung.says} {detail}".strip())
        if rung.sender not in PARTIES or rung.receiver not in {None, *PARTIES}:
            yield f"    Note over {GUEST},{HOST}: {_text(rung.sender)}: {text}"
        elif rung.receiver is None:
            yield f"    Note over {rung.sender}: {text}"
        else:
            arrow = "->>" if thread.answers is None else "-->>"
            yield f"    {rung.sender}{arrow}{rung.receiver}: {text}"


def _text(text: str) -> str:
    """Letters, digits and harmless signs as they are; everything that means something to Mermaid or HTML by number."""
    return "".join(
        c if c.isalnum() or c in " _-.,:()/|+='" else f"#{ord(c)};" if c.isprintable() else " " for c in text
    )
