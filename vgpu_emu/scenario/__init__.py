"""Scenarios: runs of the machine written down as TOML, with what is expected of each step.

========================= ===========================================================================================
records, words, things    a file as typed records, the words of its values, what its names stand for
steps*, wire, catalogue   every step there is: of guest, VMM, host, past the driver, and those made of other steps
expect, seen, answers     what a step may expect, what was seen of it, which answer a request got
loading, lines, mistakes  a file becomes scenarios, or a mistake with its line and the nearest word
world, carrying, running  what a running scenario knows by name; one step; all of them, to the end
insides, leftovers        what is to be seen of VMM and host, and what is left at the end
session, outcome, golden  a scenario in an event loop of its own, how it ended, and the ladder that it should have
reference                 what a file may say, for people
========================= ===========================================================================================
"""
