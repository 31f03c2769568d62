"""The guest: a real Linux that boots in seconds, and a program in C that asks its driver everything."""
