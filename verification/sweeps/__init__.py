"""Sweeps: a step of golden against the same step of the twin on every input there is."""
