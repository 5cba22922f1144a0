"""The ONNX graph that a step changes: its nodes, its weights and the tidying after it is read."""

from models.compress.steps.quantization.graph.graph import Graph

__all__ = ["Graph"]
