"""ONNX Runtime: sessions with the options of ``kind: onnx``, execution providers and the cache of optimised graphs."""

from models.runtimes.onnx.runtime import OnnxRuntime
from models.runtimes.onnx.session import OnnxSession

__all__ = ["OnnxRuntime", "OnnxSession"]
