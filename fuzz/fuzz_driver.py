#!/usr/bin/env python3
"""A hostile host against the guest driver: a libFuzzer program (docs/fuzzing.md, Engines)."""

from vgpu_emu.fuzz.engines.launch import PACKAGES, engine, fuzz

with engine().instrument_imports(include=PACKAGES):
    from vgpu_emu.fuzz.engines.driver import DRIVER

fuzz(DRIVER)
