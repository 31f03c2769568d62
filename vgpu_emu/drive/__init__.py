"""A device that is not ours, asked: what it offers, and what it answers to requests that are right and wrong."""
