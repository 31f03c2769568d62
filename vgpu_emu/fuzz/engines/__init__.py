"""Targets for coverage-guided engines: each a function of bytes that raises where an oracle does not hold."""
