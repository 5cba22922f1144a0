"""Profiles: the measured times and resources of one replica of a unit on this machine."""
