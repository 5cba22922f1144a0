"""The step ``distil``: a smaller student learns to order lists as its teacher does."""

from models.compress.steps.distillation.step import STEP

__all__ = ["STEP"]
