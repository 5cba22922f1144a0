"""Autoscaling benchmarks: Rankway's policies against Serve's own over traces, and the simulator against a real Ray."""
