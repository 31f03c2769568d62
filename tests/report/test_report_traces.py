"""The log as a Mermaid diagram, and as a Perfetto trace that protobuf reads back."""

import re
import sys

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent
from report_kit import lockstep_run

from vgpu_emu.report.mermaid import MAX_DETAIL, mermaid, mermaid_of_runs
from vgpu_emu.report.perfetto import TICK, perfetto, perfetto_of_runs
from vgpu_emu.report.threads import threads
from vgpu_emu.trace.ladder import rungs
from vgpu_emu.trace.log import CONTROLQ, GUEST, VMM, Event, Message, Note

EVENTS = lockstep_run(ioctl=True)[0]
THREADS = threads(EVENTS)
#: what the grammar of a sequenceDiagram takes: a participant, a message, a note over one or two parties
LINE = re.compile(
    r"    (participant (guest|vmm|host)|(guest|vmm|host)--?>>(guest|vmm|host): .+"
    r"|Note over (guest|vmm|host)(,host)?: .+)"
)


def test_a_diagram_has_a_line_an_event() -> None:
    head, *lines = mermaid(EVENTS).splitlines()
    assert head == "sequenceDiagram"
    assert all(LINE.fullmatch(line) for line in lines)
    assert len(lines) == 3 + len(EVENTS)


def test_an_answer_has_a_dashed_arrow() -> None:
    lines = mermaid(EVENTS).splitlines()
    assert any(line.startswith("    guest->>vmm: RESOURCE_MAP_BLOB") for line in lines)
    assert any(line.startswith("    vmm-->>guest: RESP_OK_MAP_INFO") for line in lines)


def test_text_that_means_something_to_mermaid_is_written_by_number() -> None:
    note = Note(0, GUEST, "a;b#c\nparticipant evil", {"%%": "<b>{x}[y]$$ \N{RIGHT-TO-LEFT OVERRIDE}"})
    (line,) = mermaid([note]).splitlines()[4:]
    assert LINE.fullmatch(line)
    assert not re.search(r"[<>{}\[\]$%\N{RIGHT-TO-LEFT OVERRIDE}]", line)
    assert "a#59;b#35;c participant evil" in line


def test_somebody_unknown_has_no_line_of_their_own() -> None:
    text = mermaid([Note(0, "x->>y: z", "odd", {}), Message(0, CONTROLQ, "a b", "c", b"")])
    assert all(LINE.fullmatch(line) for line in text.splitlines()[1:])


@pytest.mark.parametrize("length", [MAX_DETAIL - 1, MAX_DETAIL, MAX_DETAIL + 1])
def test_a_long_detail_is_cut(length: int) -> None:
    text = mermaid([Note(0, GUEST, "says", {"x": "y" * (length - 2)})])
    assert text.endswith(" ...\n") == (length > MAX_DETAIL)


def test_several_runs_make_one_diagram() -> None:
    lines = mermaid_of_runs({"first; run": EVENTS, "second": EVENTS}).splitlines()
    assert all(LINE.fullmatch(line) for line in lines[1:])
    assert lines.count("    participant guest") == 1
    assert [line for line in lines if line.startswith("    Note over guest,host: ") and "run" in line]
    assert len(lines) == 4 + 2 * (1 + len(EVENTS))


def parsed(events: list[Event]) -> Trace:
    trace = Trace()
    trace.ParseFromString(perfetto(events))
    return trace


def tracks(trace: Trace) -> dict[int, str]:
    found = {p.track_descriptor.uuid: p.track_descriptor for p in trace.packet if p.HasField("track_descriptor")}
    return {
        uuid: f"{found[track.parent_uuid].name}/{track.name}" if track.parent_uuid else track.name
        for uuid, track in found.items()
    }


def track_events(trace: Trace) -> list[TrackEvent]:
    return [packet.track_event for packet in trace.packet if packet.HasField("track_event")]


def test_every_party_has_a_track_and_every_chain_one_below_the_guests() -> None:
    names = set(tracks(parsed(EVENTS)).values())
    heads = {event.head for event in EVENTS if isinstance(event, Message) and event.link == CONTROLQ}
    assert names >= {"guest", "VMM", "host"}
    assert {name for name in names if "/" in name} == {f"guest/controlq chain {head}" for head in heads}


def test_every_wait_is_a_slice_on_the_track_of_who_asks() -> None:
    trace = parsed(EVENTS)
    names = tracks(trace)
    open_slices: dict[int, list[str]] = {}
    closed: list[tuple[str, str]] = []
    for event in track_events(trace):
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            open_slices.setdefault(event.track_uuid, []).append(event.name)
        elif event.type == TrackEvent.TYPE_SLICE_END:
            closed.append((names[event.track_uuid], open_slices[event.track_uuid].pop()))
    assert not any(open_slices.values())
    says = [rung.says for rung in rungs(EVENTS)]
    asked = [says[index] for index, thread in enumerate(THREADS) if thread.answered is not None]
    on_the_host = [name for track, name in closed if track == "host"]
    assert sorted(name for track, name in closed if track != "host") == sorted(asked)
    assert on_the_host == [name for track, name in closed if track == "VMM"]
    assert "export_blob" in on_the_host


def test_everything_about_a_blob_is_one_flow() -> None:
    events = track_events(parsed(EVENTS))
    (blob,) = {thread.resource for thread in THREADS} - {None}
    flowing = [event.name for event in events if blob in event.flow_ids]
    assert {"SUBMIT_3D", "RESOURCE_MAP_BLOB", "export_blob", "pgprot"} <= set(flowing)
    assert "CTX_CREATE" not in flowing
    assert all(len(event.flow_ids) <= 1 for event in events)


def test_the_end_of_a_slice_tells_the_answer() -> None:
    answers = [
        event.debug_annotations[0].string_value
        for event in track_events(parsed(EVENTS))
        if event.type == TrackEvent.TYPE_SLICE_END
    ]
    assert any(answer.startswith("RESP_OK_MAP_INFO") and "map_info 3 (WC)" in answer for answer in answers)


def test_time_goes_on_even_where_the_log_has_no_clock() -> None:
    stamps = [packet.timestamp for packet in parsed(EVENTS).packet if packet.HasField("track_event")]
    assert stamps == sorted(stamps)
    assert set(stamps) == {TICK * number for number in range(1, len(EVENTS) + 1)}
    clocked = parsed([Note(0.5, VMM, "late", {}), Note(0.25, VMM, "goes back", {})])
    assert [packet.timestamp for packet in clocked.packet if packet.timestamp] == [500_000_000, 500_000_000 + TICK]


def test_an_answer_to_nothing_is_an_instant() -> None:
    (event,) = track_events(parsed([Message(0, CONTROLQ, VMM, GUEST, b"")]))
    assert event.type == TrackEvent.TYPE_INSTANT


def test_several_runs_have_tracks_and_flows_of_their_own() -> None:
    trace = Trace()
    trace.ParseFromString(perfetto_of_runs({"first": EVENTS, "second": EVENTS}))
    names = tracks(trace)
    assert {"first/guest", "second/guest", "first/VMM", "second/host"} <= set(names.values())
    flows = {uuid: {flow for e in track_events(trace) if e.track_uuid == uuid for flow in e.flow_ids} for uuid in names}
    by_run = {
        run: set().union(*[flows[uuid] for uuid, name in names.items() if name.startswith(run)])
        for run in ("first/VMM", "second/VMM")
    }
    assert by_run["first/VMM"]
    assert by_run["first/VMM"].isdisjoint(by_run["second/VMM"])


def test_the_same_log_gives_the_same_trace() -> None:
    assert perfetto(EVENTS) == perfetto(lockstep_run(ioctl=True)[0])


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "perfetto.trace_builder.proto_builder", None)
    with pytest.raises(ModuleNotFoundError, match="perfetto"):
        perfetto(EVENTS)
