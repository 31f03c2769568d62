#!/usr/bin/env python3
"""Bytes as structures of the wire: a libFuzzer program (docs/fuzzing.md, Engines)."""

from vgpu_emu.fuzz.engines.launch import PACKAGES, engine, fuzz

with engine().instrument_imports(include=PACKAGES):
    from vgpu_emu.fuzz.engines.wire import WIRE

fuzz(WIRE)
