"""``vgpu-emu schema``: the JSON schemas of files, for editors and other programs."""

import json

from vgpu_emu.trace import logfile


def event() -> int:
    """The JSON schema of a line of an event log.

    An event log is JSON lines: a header, then an event a line; every other header starts another run. Commands that run
    a machine write one with --log FILE.

    Example:

        vgpu-emu schema event > event.schema.json
    """
    print(json.dumps(logfile.schema(), indent=2))
    return 0
