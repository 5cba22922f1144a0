"""Tests of the deltas of a catalogue."""
