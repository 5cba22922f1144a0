"""The faults of ``benchmarks/faults.py``, and their effects as seen from outside."""
