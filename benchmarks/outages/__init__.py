"""The faults in ``benchmarks/faults.py``, and their effects as seen from outside."""
