"""Benchmarks: measured, never asserted. Run them with ``hatch run bench [area ...]``."""
