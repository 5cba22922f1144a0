"""The claims' workloads, the models that they run, and the other side of each ratio."""
