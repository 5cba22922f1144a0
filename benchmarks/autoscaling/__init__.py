"""Autoscaling benchmarks: the claim over traces, and the simulator compared with a real local Ray."""
