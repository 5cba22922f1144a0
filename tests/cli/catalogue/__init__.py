"""Tests of rankway catalogue."""
