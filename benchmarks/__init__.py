"""Benchmarks: each script measures one property of Rankway. Figures that are compared come from the same run."""
