"""Imports models that were trained elsewhere: finds their format, matches inputs to features, writes artifacts."""
