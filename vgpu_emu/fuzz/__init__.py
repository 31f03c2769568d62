"""Protocol fuzzing: programs, a reference model, oracles, planted defects, campaigns."""
