#!/usr/bin/env python3
"""Streams, packets and descriptors of a hostile process: a libFuzzer program (docs/fuzzing.md, Engines)."""

from vgpu_emu.fuzz.engines.launch import PACKAGES, engine, fuzz

with engine().instrument_imports(include=PACKAGES):
    from vgpu_emu.fuzz.engines.sockets import SOCKETS

fuzz(SOCKETS)
