"""Deltas: added, changed and removed items of a catalogue, without writing the catalogue again."""
