"""Meters: cores, memory, processes, time and a server's metrics."""
