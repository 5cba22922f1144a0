"""Step ``quantize``: stores weights in fewer bits, and computes with them if the runtime has kernels for it."""

from models.compress.steps.quantization.step import STEP

__all__ = ["STEP"]
