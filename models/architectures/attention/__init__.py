"""Attention kernels of the history ranker.

All kernels compute the same function: candidates attend to the history and to themselves, and the history attends to
itself causally. They differ in speed, and in the last digits of the scores:

- ``products`` uses matrix products. It is the default, and what ONNX graphs contain. It writes the attention weights
  to memory, (heads, candidates, history) for each request and layer.
- ``fused`` uses PyTorch's fused kernels, which do not write the weights. It is the default on GPUs. On a CPU it takes
  as long as ``products`` for a history of 25 items, and a third of the time for 512.
- ``flex`` uses flex attention with a block mask.

``python benchmarks/gpu.py`` measures them all.
"""
