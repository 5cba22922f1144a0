"""The workloads of the claims, the models they run, and the other side of each ratio."""
