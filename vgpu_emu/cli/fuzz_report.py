"""What ``vgpu-emu fuzz --json`` prints of a campaign; ``vgpu-emu schema fuzz`` tells of it."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

_Count = Annotated[int, Meta(ge=0)]
_Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})*$")]
_Oracle = Annotated[str, Meta(pattern="^I[0-9]+$")]
_File = Annotated[str | None, Meta(description="null: it could not be written.")]


class FoundReport(Struct, forbid_unknown_fields=True):
    """A finding. program, minimised: as bytes. step: of the minimised one, from 0 on."""

    oracle: _Oracle
    detail: str
    step: _Count
    program: _Hex
    minimised: _Hex
    commands: Annotated[int, Meta(ge=0, description="Steps of the minimised program.")]
    file: _File
    scenario: _File
    scenario_wrong: Annotated[str, Meta(description="Why it does not show the finding; empty: it does.")]
    seed: int
    sequence: Annotated[int, Meta(description="The program's number; negative: one of the corpus.")]


class CoverageReport(Struct, forbid_unknown_fields=True):
    """How many commands, conditions of commands, outcomes of these, and states in which they came."""

    commands: _Count
    conditions: _Count
    outcomes: _Count
    states: _Count


class Report(Struct, forbid_unknown_fields=True):
    """A campaign of vgpu-emu fuzz. sequences: programs. commands: of all of them."""

    schema: Literal[1]
    target: str
    sequences: _Count
    commands: _Count
    seconds: Annotated[float, Meta(ge=0)]
    stopped: Annotated[bool, Meta(description="By the user.")]
    killed: Annotated[bool, Meta(description="A process that carried out programs was.")]
    findings: list[FoundReport]
    oracles: Annotated[dict[_Oracle, _Count], Meta(description="How often each was asked.")]
    never_asked: Annotated[list[_Oracle], Meta(description="Although there were 2,000 programs.")]
    coverage: CoverageReport
