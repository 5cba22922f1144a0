"""The benchmarks' workloads and models, and the systems that Rankway is compared with."""
