"""Programs on a device that is not ours: here our own back-end, behind its socket, in this process."""

from functools import partial
from pathlib import Path

import pytest
from engine_defects import CachedForAll
from msgspec.structs import replace
from served import Deadly, Served, Silent, planted
from trio.testing import MockClock

from vgpu_emu.cli import device_jobs, main
from vgpu_emu.drive.requests import attach, create_2d
from vgpu_emu.fuzz.actions import Call, Program, Send, Step
from vgpu_emu.fuzz.batches import Batch, Plan, Work
from vgpu_emu.fuzz.campaign import Programs, Summary, campaign
from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.encoding import decode
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.oracles import that_apply
from vgpu_emu.fuzz.outside import Outside, meet
from vgpu_emu.fuzz.scenarios import head_of
from vgpu_emu.fuzz.scenarios import run as run_scenario
from vgpu_emu.fuzz.targets import target
from vgpu_emu.fuzz.telling import Head, tell
from vgpu_emu.fuzz.trial import Conditions, Found, TargetLostError
from vgpu_emu.fuzz.worker import carry_out, minimised
from vgpu_emu.scenario.loading import loads
from vgpu_emu.scenario.outcome import Result
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob, ResourceMapBlob
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlFlag, CtrlType
from vgpu_wire.layout import Record
from vgpu_wire.render import CmdSubmit, CtxCreate
from vgpu_wire.resource import ResourceCreate2D, ResourceUnref

CREATE = ResourceCreate2D(resource_id=1, format=1, width=16, height=16)
#: what a strict device refuses, and QEMU's does not
FENCED_WRONG = replace(CREATE, flags=int(CtrlFlag.FENCE | CtrlFlag.INFO_RING_IDX), ring_idx=77)


def met(source: Served) -> Outside:
    return meet(Outside(source, clock=partial(MockClock, autojump_threshold=0)))


def conditions(source: Served, profile: str | None = None) -> Conditions:
    device = replace(met(Served(profile=source.config.profile.name)), source=source)
    return Conditions(target="device", profile=None if profile is None else PROFILES[profile], device=device)


def batch(source: Served, number: int, profile: str | None = None) -> Batch:
    return carry_out(Work(Plan(5), 0, number), conditions(source, profile))


def found(source: Served, *requests: Record, profile: str | None = None) -> Found | None:
    program = Program(Setup(), tuple(Send(request.build()) for request in requests))
    return target("device").run(program, conditions(source, profile)).found


def test_our_own_back_end_has_no_finding() -> None:
    done = batch(Served(), 8)
    assert done.findings == []
    assert not done.lost
    assert done.commands > 100
    assert {"I6", "I7", "I14", "I20", "I22", "I31"} <= {name for name, count in done.evaluated.items() if count}


def test_ids_and_backings_of_a_device_are_asked_about() -> None:
    twice = [request.build() for request in (create_2d(1), attach(1, (0, 4096))) for _ in range(2)]
    result = target("device").run(Program(Setup(), tuple(map(Send, twice))), conditions(Served()))
    assert result.found is None
    assert {"I8", "I9"} <= set(result.evaluated) & {oracle.name for oracle in that_apply("device")}


def test_renderer_of_ours_is_known_and_capsets_are() -> None:
    ours, other = met(Served()), met(Served(profile="vhost-user-gpu"))
    assert ours.streams
    assert [number for number, _, _ in ours.capsets] == [1, 2, 4, 6]
    assert (other.streams, other.capsets) == (False, ())


MAPPED = (
    CtxCreate(ctx_id=1),
    CREATE,
    CmdSubmit(ctx_id=1, size=24, commands=StreamAlloc(exporter=ExporterKind.WC, blob_id=7, size=4096).build()),
    ResourceCreateBlob(
        ctx_id=1, resource_id=2, blob_mem=BlobMem.HOST3D, blob_flags=BlobFlag.USE_MAPPABLE, blob_id=7, size=4096
    ),
    ResourceMapBlob(resource_id=2),
)


def test_map_info_is_judged_and_a_finding_made_small() -> None:
    program = Program(Setup(), tuple(Send(request.build()) for request in MAPPED))
    clean, cached = conditions(Served()), conditions(Served(CachedForAll()))
    result = target("device").run(program, clean)
    assert result.found is None
    assert result.evaluated["I1"] == 1
    wrong = target("device").run(program, cached).found
    assert wrong is not None
    assert (wrong.oracle, wrong.detail) == ("I1", "RESOURCE_MAP_BLOB: map_info is 1, not 3")
    assert len(minimised(program, wrong, cached).steps) == 4


class Stray(Wrapper):
    """Each image that is made, the device tells guest memory of."""

    def handle(self, chain):  # type: ignore[no-untyped-def]
        if int.from_bytes(chain.readable[:4], "little") == CtrlType.RESOURCE_CREATE_2D:
            self.memory.write(0x800, b"stray")
        return self.inner.handle(chain)


def test_store_to_guest_memory_that_nobody_asked_for_is_seen() -> None:
    wrong = found(Served(planted(Stray)), CREATE)
    assert wrong is not None
    assert (wrong.oracle, wrong.detail) == ("I31", "guest memory at 0x800 is 115, not 0")
    assert found(Served(), CREATE) is None


def test_crash_is_a_finding_that_is_made_small_and_has_a_scenario() -> None:
    source = Served(planted(Deadly, CtrlType.RESOURCE_UNREF))
    done = batch(source, 4)
    assert not done.lost
    finding = done.findings[0]
    assert finding.found.oracle == "I28"
    assert finding.found.detail.startswith("after RESOURCE_UNREF: the device closed the connection")
    assert len(decode(finding.minimised).steps) == 1
    where = conditions(source)
    head = head_of("fuzz@crash", finding.found, "", where)
    (scenario,) = loads(tell(decode(finding.minimised), head))
    assert run_scenario(scenario).result is Result.SUCCESS
    outcome = run_scenario(scenario, device=where.device)
    assert outcome.failure is not None
    assert outcome.failure.path == "step[0]"


def test_campaign_ends_with_a_device_that_nobody_starts_again() -> None:
    where = conditions(Served(planted(Deadly, CtrlType.RESOURCE_UNREF), lives=1))
    summary = Summary()
    list(campaign(lambda works: (carry_out(work, where) for work in works), Programs(5, batch=20), summary))
    assert summary.lost == "nothing answers at the socket: nobody starts it again"
    (finding,) = summary.findings.values()
    assert finding.program == finding.minimised


def test_device_that_is_gone_is_no_finding() -> None:
    with pytest.raises(TargetLostError, match="nobody starts it again"):
        found(Served(planted(Deadly, CtrlType.RESOURCE_UNREF), lives=0), CREATE)


def test_hang_is_a_finding() -> None:
    wrong = found(Served(planted(Silent, CtrlType.RESOURCE_CREATE_2D)), CtxCreate(ctx_id=1), CREATE)
    assert wrong is not None
    assert wrong.oracle == "I19"
    assert wrong.detail == "after RESOURCE_CREATE_2D: the device does not answer: no answer in 5 s"


def test_known_difference_is_a_finding_without_the_profile_only() -> None:
    source = Served(profile="vhost-user-gpu")
    wrong = found(source, FENCED_WRONG)
    assert wrong is not None
    assert wrong.detail == "RESOURCE_CREATE_2D succeeded: ring_idx is not 0..63"
    assert found(source, FENCED_WRONG, profile="vhost-user-gpu") is None
    assert batch(source, 10, "vhost-user-gpu").findings == []


def written(scenario: str, program: Program, directory: Path) -> str:
    file = directory / f"{scenario}.vgpu.toml"
    file.write_text(tell(program, Head(id=f"fuzz@{scenario}", why="W.", source="", target="core")))
    return str(file)


def test_profile_of_the_command_line_goes_before_the_file_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Served(profile="vhost-user-gpu")
    monkeypatch.setattr(device_jobs, "device_source", lambda *_: source)
    file = written("wrong", Program(Setup(), (Send(FENCED_WRONG.build()),)), tmp_path)
    assert main(["run", "--device", "vhost-user:x", file]) == 1
    assert main(["run", "--device", "vhost-user:x", "--profile", "vhost-user-gpu", file]) == 0


def test_device_is_met_once_for_all_scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Served()
    monkeypatch.setattr(device_jobs, "device_source", lambda *_: source)
    program = Program(Setup(), (Send(CREATE.build()),))
    assert main(["run", "--device", "vhost-user:x", *(written(name, program, tmp_path) for name in "abc")]) == 0
    # each of the three is carried out twice, as its answers must be the same ones
    assert source.opened == 1 + 3 * 2


def test_after_a_known_difference_the_device_must_still_answer() -> None:
    source = Served(planted(Deadly, CtrlType.RESOURCE_UNREF), profile="vhost-user-gpu")
    wrong = found(source, FENCED_WRONG, ResourceUnref(resource_id=1), profile="vhost-user-gpu")
    assert wrong is not None
    assert wrong.oracle == "I28"


def test_guest_programs_run_on_it() -> None:
    steps: tuple[Step, ...] = (
        Call("open"),
        Call("blob", (0, 1, 0)),
        Call("mmap"),
        Call("store", (0, 3, 7)),
        Call("load", (0, 3)),
    )
    setup = Setup(real=True, memory=(1 << 20) + (1 << 17))
    result = target("device").run(Program(setup, steps), conditions(Served()))
    assert result.found is None
    assert result.evaluated["I2"] == result.evaluated["I24"] == 1
    assert result.program.steps[:5] == steps


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--device", "/tmp/gpu.sock"], "it is vhost-user:PATH"),
        (["--device", "vhost-user:{path}"], "nothing answers at the socket"),
        (["--device", "vhost-user:{path}", "--jobs", "2"], "no --jobs, --defect or --target"),
        (["--device", "vhost-user:{path}", "--patience", "0"], "--patience 0.0: a number of seconds"),
        (["--target", "device"], "say which, with --device vhost-user:PATH"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.format(path=tmp_path / "none") for word in arguments]
    assert main(["fuzz", "--sequences", "1", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
