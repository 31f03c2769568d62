"""Scenarios: runs of the machine written down as TOML, with what is expected of each step.

====================== ======================================================================================
records, words         a file's typed records, and the words that its values are
steps_*                every step there is, by whom it is an action of: guest, VMM, host, or nobody's driver
expect                 what a step may expect, and how that is compared with what was seen
loading, mistakes      a file becomes scenarios, or a mistake with its line and the nearest word
world, running         what a running scenario knows by name; carrying out step after step
leftovers              what is left at the end, where nothing should be
====================== ======================================================================================
"""
