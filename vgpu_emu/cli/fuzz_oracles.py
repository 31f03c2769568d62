"""``vgpu-emu fuzz --oracles``: what is held against a device."""

import sys
import textwrap

import msgspec

from vgpu_emu.cli.style import painter
from vgpu_emu.fuzz.oracles import ORACLES


def show_oracles(*, json: bool) -> None:
    if json:
        found = [oracle._asdict() for oracle in ORACLES.values()]
        print(msgspec.json.encode({"schema": 1, "oracles": found}).decode())
        return
    paint = painter(sys.stdout)
    for oracle in ORACLES.values():
        print(f"{paint('bold', f'{oracle.name:4}{oracle.title}')} ({', '.join(oracle.targets)})")
        says = oracle.sentence + (f" Elsewhere not, as {oracle.why_not}." if oracle.why_not else "")
        print(textwrap.fill(says, 100, initial_indent="    ", subsequent_indent="    "))
