"""Traces: request arrivals over time, and how they are read, validated, recorded and synthesised."""
