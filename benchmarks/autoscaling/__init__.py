"""The benchmarks of autoscaling: the claim over traces, and the simulator beside a real local Ray."""
