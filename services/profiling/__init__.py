"""Profiles: the times and resources of a unit's replica, measured on this machine."""
