"""Releases: loading, warming, swapping and rolling out versions of a pipeline."""
