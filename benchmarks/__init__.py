"""Benchmarks: one script per claim. Both sides of every ratio are measured together."""
