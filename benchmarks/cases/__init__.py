"""The workloads of the claims, the models they run, and the other sides of the ratios."""
