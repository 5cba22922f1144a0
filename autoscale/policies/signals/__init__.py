"""Signals: the load that a policy sizes for, computed from arrivals, backlog, misses and forecasts."""
