"""How fast, as ratios of two things measured side by side in one run: ``python -m benchmarks [NAME...] [--json]``."""
