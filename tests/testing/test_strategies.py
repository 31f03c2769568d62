"""Strategies: what they make has bytes, comes back, and covers every structure."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vgpu_emu.fuzz.actions import Program
from vgpu_emu.fuzz.engines.wire import RECORDS
from vgpu_emu.fuzz.trial import run
from vgpu_emu.testing.strategies import messages, programs, records, requests, responses
from vgpu_wire.control import FIRST_RESPONSE, CtrlHdr
from vgpu_wire.messages import parse_message

FEW = settings(max_examples=5, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.layout.name)
def test_every_structure_has_values_that_come_back(cls: type) -> None:
    @FEW
    @given(records(cls))
    def comes_back(record: object) -> None:
        assert cls.parse(record.build()) == record  # type: ignore[attr-defined]

    comes_back()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(messages())
def test_message_is_read_as_its_type_says(message: CtrlHdr) -> None:
    assert parse_message(message.build()) == message


@FEW
@given(requests(), responses())
def test_requests_and_responses_are_apart(request: CtrlHdr, response: CtrlHdr) -> None:
    assert request.type < FIRST_RESPONSE <= response.type


@settings(FEW, suppress_health_check=[HealthCheck.too_slow])
@given(programs())
def test_programs_run_without_a_finding(program: Program) -> None:
    assert run(program).found is None


def test_programs_have_steps() -> None:
    lengths: list[int] = []

    @settings(FEW, max_examples=20)
    @given(programs(), st.none())
    def look(program: Program, _none: None) -> None:
        lengths.append(len(program.steps))

    look()
    assert max(lengths) >= 3
