"""Planted defects and benign mutants, by name: what a fuzzer must find, and what it must not."""
