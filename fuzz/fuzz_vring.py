#!/usr/bin/env python3
"""Rings that the other side wrote: a libFuzzer program (docs/fuzzing.md, Engines)."""

from vgpu_emu.fuzz.engines.launch import PACKAGES, engine, fuzz

with engine().instrument_imports(include=PACKAGES):
    from vgpu_emu.fuzz.engines.vring import VRING

fuzz(VRING)
