"""Campaigns: what they find does not depend on the processes that share the work."""

import os
import re
import signal
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from engine_defects import CachedForAll

from vgpu_emu.fuzz.actions import Program, Send
from vgpu_emu.fuzz.batches import BATCH, Batch, Plan, Work
from vgpu_emu.fuzz.bounded import bounded, in_time
from vgpu_emu.fuzz.campaign import Programs, Summary, campaign
from vgpu_emu.fuzz.corpus import name_of, read, save
from vgpu_emu.fuzz.coverage import conditions, unreached
from vgpu_emu.fuzz.crew import crew
from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.encoding import MAX_BYTES, decode, encode
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.contexts import STREAM
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.oracles import ORACLES, that_apply
from vgpu_emu.fuzz.targets import target
from vgpu_emu.fuzz.trial import Conditions, Found, where
from vgpu_emu.fuzz.worker import _Worker as Worker
from vgpu_emu.fuzz.worker import carry_out, minimised
from vgpu_emu.host.exporters import EXPORTERS
from vgpu_wire.context_stream import ExporterKind

CLEAN = Conditions()
CACHED = Conditions(defects=(CachedForAll,))


def go(conditions: Conditions, jobs: int, sequences: int, corpus: tuple[bytes, ...] = ()) -> Summary:
    def work(task: Work) -> Batch:
        return carry_out(task, conditions)

    summary = Summary()
    with crew(work, jobs) as workers:
        for _ in campaign(workers, Programs(3, corpus, sequences), summary):
            pass
    return summary


def test_any_number_of_processes_finds_the_same() -> None:
    alone, together = go(CLEAN, 1, BATCH + 30), go(CLEAN, 2, BATCH + 30)
    assert alone == together
    assert alone.sequences == BATCH + 30
    assert not alone.findings


def test_campaign_that_goes_on_makes_other_programs() -> None:
    first = go(CLEAN, 1, 30)
    again = go(CLEAN, 1, 30, tuple(first.corpus))
    assert again.sequences == 30 + len(first.corpus)
    assert set(again.corpus) > set(first.corpus)


def test_finding_is_small_and_has_its_first_step() -> None:
    batch = carry_out(Work(Plan(1), 0, 60), CACHED)
    finding = next(each for each in batch.findings if each.found.oracle == "I1")
    program = decode(finding.minimised)
    assert len(program.steps) <= 4
    assert finding.found.step == len(program.steps) - 1
    assert target("core").run(program, CLEAN).found is None
    assert minimised(program, finding.found, CACHED) == program


def test_known_finding_is_not_made_small_again() -> None:
    batch = carry_out(Work(Plan(1), 0, 60), CACHED)
    known = frozenset(finding.kind for finding in batch.findings)
    again = carry_out(Work(Plan(1, kinds=known), 0, 60), CACHED)
    assert not known & {finding.kind for finding in again.findings}


class AllIncoherent:
    """Buffers are of another exporter than the one that was asked for."""

    def renderer(self, renderer: Any) -> Any:
        inner = renderer.handle

        def handle(data: bytes, now: float = 0.0) -> Any:
            answer = inner(data, now)
            for buf in renderer.process.files.values():
                buf.ops = EXPORTERS[ExporterKind.INCOHERENT]
            return answer

        renderer.handle = handle
        return renderer


def test_findings_that_differ_in_numbers_are_one() -> None:
    findings = go(Conditions(defects=(AllIncoherent,)), 1, 100).findings
    others = {re.sub(r"\d+", "", finding.found.detail) for finding in findings.values()}
    assert len(others) == len(findings)
    assert any(detail.startswith("exporter of : incoherent, not ") for detail in others)
    kinds = {Found("I9", f"the memory {there}, and {data!r} at {2**bits:#x}", 0).kind for there, data, bits in PLACES}
    assert kinds == {"I9: the memory [#], and # at #"}


def test_findings_that_differ_in_bytes_are_one() -> None:
    # the words stay: also "2D", "dead" and "added"
    said = (
        "2D: dead, 0511d5b13338c9c6 was added, not ffeeddccbbaa0099",
        "2D: dead, 05113c6ef372fe94 was added, not 12",
    )
    assert {Found("I30", detail, 0).kind for detail in said} == {"I30: #D: dead, # was added, not #"}


#: as in details
PLACES = (([4096, 7], b"a", 4), ([1], b"it's", 9), ([1, 20, 300], b"\"'\0", 20))


def test_what_is_raised_is_said_without_addresses() -> None:
    try:
        raise ValueError(f"{object()} of {Endless}, and 0x1000000")
    except ValueError as error:
        said = where(error)
    assert said.startswith("ValueError: <object object> of <class 'test_campaign.Endless'>, and 0x1000000 in test_what")


@pytest.mark.parametrize(("more", "kept"), [(0, 1), (1, 0)])
def test_program_that_is_too_long_for_a_corpus_is_not_kept(more: int, kept: int) -> None:
    empty = encode(Program(Setup(), (Send(bytes(1 << 15), 0), Send(bytes(1 << 14), 0))))
    steps = (Send(bytes(1 << 15), 0), Send(bytes((1 << 14) + MAX_BYTES - len(empty) + more), 0))
    program = Program(Setup(), steps)
    assert len(encode(program)) == MAX_BYTES + more
    worker = Worker(Work(Plan(1), 0), CLEAN, print)
    worker.note(target("core").run(program, CLEAN), 0)
    assert len(worker.batch.fresh) == kept
    assert not worker.batch.findings


class Endless(Wrapper):
    def handle(self, _chain: object) -> Any:
        while True:
            pass


class NeverAnswers:
    def device(self, device: Any) -> Any:
        return Endless(device)


def test_device_that_comes_to_no_end_is_found() -> None:
    program = decode(next(iter(go(CLEAN, 1, 1).corpus)))
    with bounded(0.05):
        found = target("core").run(program, Conditions(defects=(NeverAnswers,))).found
    assert found is not None
    assert found.oracle == "I29"


def test_only_a_program_is_interrupted_and_what_is_done_between_two_of_them_is_not() -> None:
    with bounded(0.02):
        with in_time():
            pass
        until = time.process_time() + 0.03
        while time.process_time() < until:
            pass


def test_interruption_is_a_finding() -> None:
    def endless() -> None:
        while True:
            pass

    with bounded(0.001), pytest.raises(Finding, match="I29"), in_time():
        endless()


def test_worker_finishes_what_is_in_hand_when_it_is_asked_to_end() -> None:
    def ask(task: int) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return task

    with crew(ask, 1) as workers:
        assert list(workers([1, 2])) == [1, 2]


def test_workers_are_ended_when_one_of_them_is_killed() -> None:
    def die(task: int) -> None:
        if task:
            signal.pause()
        os.kill(os.getpid(), signal.SIGKILL)

    with crew(die, 2) as workers, pytest.raises(BrokenProcessPool):
        list(workers([1, 0]))


# -- corpora


def test_corpus_is_read_as_it_was_saved(tmp_path: Path) -> None:
    programs = [b"abc", b"", b"x" * MAX_BYTES]
    assert save(tmp_path / "new", programs) == 3
    assert save(tmp_path / "new", [b"abc", b"more"]) == 1
    found = read(tmp_path / "new")
    assert sorted(found.programs) == sorted([*programs, b"more"])
    assert not found.wrong
    assert {path.name for path in (tmp_path / "new").iterdir()} == {name_of(data) for data in found.programs}


def test_corpus_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == ([], [])


def test_files_that_are_no_programs_are_named(tmp_path: Path) -> None:
    save(tmp_path, [b"good"])
    large = b"x" * (MAX_BYTES + 1)
    (tmp_path / name_of(large)).write_bytes(large)
    (tmp_path / name_of(b"cut off")).write_bytes(b"cut")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / f".{name_of(b'half')}.1").write_bytes(b"ha")
    found = read(tmp_path)
    assert found.programs == [b"good"]
    said = {path.name: wrong for path, wrong in found.wrong}
    assert said == {
        name_of(large): f"it has more than {MAX_BYTES} bytes",
        name_of(b"cut off"): "its content is not what its name says",
        "notes.txt": "its name is no SHA-1",
    }


# -- oracles


def test_there_are_36_oracles_with_a_sentence_each() -> None:
    assert list(ORACLES) == [f"I{number}" for number in range(1, 37)]
    assert len({oracle.sentence for oracle in ORACLES.values()}) == 36
    assert all(oracle.sentence.endswith(".") and oracle.title for oracle in ORACLES.values())
    assert all(len(oracle.targets) == 3 or oracle.why_not for oracle in ORACLES.values())


def test_condition_is_reached_by_its_own_words_and_no_others() -> None:
    for words in conditions():
        for said in (words, STREAM + words):
            assert unreached({(0, said, 0, 0)}) == sorted(conditions() - {words})


def test_every_oracle_of_the_core_is_asked() -> None:
    asked = go(CLEAN, 2, 2 * BATCH).evaluated
    assert {oracle.name for oracle in that_apply("core")} - set(asked) == {"I36"}
    assert set(asked) <= set(ORACLES)


# -- what campaigns found in the reference: each was a false positive


FALSE = {
    "a VMM that goes on asks about a fence anew, and there is more work by then": (
        "00001a000060000200000000000000000000000000000300000000000000000000000000000066757a7a0000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000150015010338380100060004000000060000000000000000200000000000000100060001000000030000000000000001"
        "0000000000000003000200010000001a00006000020000000000000000000000000000020000000000000000000000000000"
        "0066757a7a000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000f000403000f0001010015001402202001000600040000000600000000000000002000"
        "000000000003000200e80300001e1c01"
    ),
    "ENOTTY for a blob that the ioctl would have kept from being mapped leaves it to the renderer": (
        "00001a000060000200000000000000000000000000000200000000000000000000000000000066757a7a0000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000150014023030010006000500000003000000000000000100000000000000010006000400000006000000000000000010"
        "0000000000000c00f4060202020303802000201901021a000060000200000000000000000000000000000100000000000000"
        "000000000000000066757a7a0000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000001600100200"
    ),
    "the same, while a guest program maps the blob": "00002100002102051d3b17303920190002210500",
    "an old kernel leaves it to the renderer, and the driver has no room for what that says": (
        "00001a000060000200000000000000000000000000000400000000000000000000000000000066757a7a66757a7a66757a7a"
        "66757a7a66757a7a66757a7a66757a7a66757a7a66757a7a66757a7a66757a7a66757a7a66757a7a66757a7a66757a7a6675"
        "7a00150014046060010006000100000016000000000000000010000000000000010006000200000017000000000000000010"
        "0000000000000100060001000000180000000000000000100000000000000100060001000000190000000000000000100000"
        "00000000201902020c00f4060401020116802000169910100100"
    ),
    "a driver that waits for answers has no file open, and is unbound": "0000210000210b00210a001f",
    "a UUID is told late, when another resource has the id": (
        "0000210000210b000100f00105010404000b001101050002001005000100f00105010404000b00100500"
    ),
}


@pytest.mark.parametrize("program", FALSE.values(), ids=FALSE)
def test_what_was_no_finding_is_none(program: str) -> None:
    assert target("core").run(decode(bytes.fromhex(program)), CLEAN).found is None


#: work, a fence behind it, a VMM that restarts: the fence is complete, its number is used again, and the host signals
#: what the first VMM had asked for
SIGNAL_OF_A_VMM_THAT_ENDED = (
    "00001a000060000200000000000000000000000000000300000000000000000000000000000066757a7a0000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "0000150017ffffffff078cfa1d03101003000200e8030000030002000a0000001e150017ffffffff078cfa1d031010030002"
    "00e8030000030002000a000000"
)


@pytest.mark.parametrize("name", ["core", "machine", "process"])
def test_signal_that_was_meant_for_a_vmm_that_ended_completes_nothing(name: str) -> None:
    program = decode(bytes.fromhex(SIGNAL_OF_A_VMM_THAT_ENDED))
    assert target(name).run(program, Conditions(target=name)).found is None
