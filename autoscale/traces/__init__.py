"""Traces: request arrivals over time; how they are read, checked, recorded and synthesised."""
