"""Capacity: how long a batch takes, and how much load a replica can serve."""
