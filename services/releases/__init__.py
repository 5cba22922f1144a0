"""Releases: load, warm, swap and roll out a pipeline's versions."""
