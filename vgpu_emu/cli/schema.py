"""``vgpu-emu schema``: the JSON schemas of files, for editors and other programs."""

import json

import msgspec

from vgpu_emu.cli.fuzz_report import Report
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.trace import logfile


def event() -> int:
    """The JSON schema of a line of an event log.

    An event log is JSON lines: a header, then an event a line; every other header starts another run. Commands that run
    a machine write one with --log FILE.

    For an editor, or a validator:

        vgpu-emu schema event > event.schema.json
    """
    print(json.dumps(logfile.schema(), indent=2))
    return 0


def scenario() -> int:
    """The JSON schema of a scenario file (*.vgpu.toml).

    Editors that know TOML schemas (taplo, Even Better TOML) then complete members and words as you type, and mark
    mistakes: begin the file with a line that names it.

    To have it in an editor:

        vgpu-emu schema scenario > scenario.schema.json

        echo '#:schema scenario.schema.json' > my.vgpu.toml
    """
    print(json.dumps(msgspec.json.schema(Scenario), indent=2))
    return 0


def fuzz() -> int:
    """The JSON schema of what vgpu-emu fuzz --json prints of a campaign.

    For a validator:

        vgpu-emu schema fuzz > fuzz.schema.json
    """
    print(json.dumps(msgspec.json.schema(Report), indent=2))
    return 0
