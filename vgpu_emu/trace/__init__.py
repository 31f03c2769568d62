"""The event log, and the writers that turn it into something to look at."""
