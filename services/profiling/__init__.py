"""Profiles: what one replica of a unit takes, measured on this machine."""
