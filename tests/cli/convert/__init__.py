"""Tests of ``rankway convert``."""
