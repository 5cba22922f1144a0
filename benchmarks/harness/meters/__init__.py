"""Meters: cores, memory, processes, time and the metrics of a server."""
