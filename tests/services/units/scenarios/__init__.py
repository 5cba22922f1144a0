"""Scenarios of several units."""
