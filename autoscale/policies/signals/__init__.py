"""Signals: the load that a policy sizes for, from what arrives, waits, misses and is forecast."""
