"""What ``benchmarks/autoscale_live.py`` holds the simulator against: a real local Ray."""
