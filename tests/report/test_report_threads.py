"""Which events of a log belong together."""

import pytest
from report_kit import lockstep_run
from support import create

from vgpu_emu.guest.file import DrmFile
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.report.threads import threads
from vgpu_emu.trace.ladder import rungs
from vgpu_emu.trace.log import CONTROLQ, GUEST, VMM, Message, Note, is_question
from vgpu_wire.control import CtrlType, HeaderOnly

EVENTS = lockstep_run(ioctl=True)[0]
THREADS = threads(EVENTS)
SAYS = [rung.says for rung in rungs(EVENTS)]


def test_every_question_has_its_answer_and_every_answer_its_question() -> None:
    for index, (event, thread) in enumerate(zip(EVENTS, THREADS, strict=True)):
        if isinstance(event, Message):
            other = thread.answered if is_question(event) else thread.answers
            assert other is not None
            assert (THREADS[other].answers if is_question(event) else THREADS[other].answered) == index


def test_an_alloc_belongs_to_the_blob_that_is_made_of_it() -> None:
    blob = THREADS[SAYS.index("RESOURCE_CREATE_BLOB")].resource
    assert blob is not None
    assert {THREADS[SAYS.index(says)].resource for says in ("SUBMIT_3D", "submit")} == {blob}
    answer = THREADS[SAYS.index("SUBMIT_3D")].answered
    assert answer is not None
    assert THREADS[answer].resource == blob


def test_an_ioctl_belongs_to_the_blob_whose_descriptor_it_asks() -> None:
    asks = next(index for index, says in enumerate(SAYS) if says.startswith("ioctl("))
    assert THREADS[asks].resource == THREADS[SAYS.index("RESOURCE_MAP_BLOB")].resource


def test_what_is_about_no_blob_belongs_to_none() -> None:
    assert THREADS[SAYS.index("CTX_CREATE")].resource is None
    assert THREADS[SAYS.index("assembled")].resource is None


def test_two_objects_of_one_context_are_told_apart() -> None:
    with Lockstep() as lockstep:
        file = DrmFile(lockstep.driver)
        for blob_id in (1, 2, 1):
            lockstep.run(create(file, blob_id=blob_id))
        woven = threads(lockstep.log.events)
        says = [rung.says for rung in rungs(lockstep.log.events)]
    created, allocated = (
        [thread.resource for thread, said in zip(woven, says, strict=True) if said == name]
        for name in ("RESOURCE_CREATE_BLOB", "SUBMIT_3D")
    )
    assert len(set(created)) == 3
    assert allocated == created


def test_an_answer_to_nothing_and_bytes_that_are_no_message_belong_to_nothing() -> None:
    stray = Message(0, CONTROLQ, VMM, GUEST, HeaderOnly(type=CtrlType.RESP_OK_NODATA.value).build(), head=7)
    unanswered, answer, note = threads([Message(0, CONTROLQ, GUEST, VMM, b"\1"), stray, Note(0, VMM, "odd", {})])
    assert (unanswered.record, unanswered.answered) == (None, None)
    assert (answer.answers, answer.resource) == (None, None)
    assert note.record is None


@pytest.mark.parametrize(("said", "blob"), [(1, 1), (0xFFFFFFFF, 0xFFFFFFFF), (0, None), (1 << 32, None), ("2", None)])
def test_a_note_names_a_blob_only_by_a_number_that_one_can_have(said: object, blob: int | None) -> None:
    (thread,) = threads([Note(0, VMM, "odd", {"resource_id": said})])
    assert thread.resource == blob
