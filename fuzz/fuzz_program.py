#!/usr/bin/env python3
"""Programs on driver, device and renderer: a libFuzzer program (docs/fuzzing.md, Engines)."""

from vgpu_emu.fuzz.engines.launch import PACKAGES, engine, fuzz

with engine().instrument_imports(include=PACKAGES):
    from vgpu_emu.fuzz.engines.program import PROGRAM

fuzz(PROGRAM)
