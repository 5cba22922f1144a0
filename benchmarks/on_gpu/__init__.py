"""The parts of ``benchmarks/gpu.py``. They need only Python, PyTorch, numpy and the folder ``models``."""
