"""What goes wrong in ``benchmarks/faults.py``, and what is seen of it from outside."""
