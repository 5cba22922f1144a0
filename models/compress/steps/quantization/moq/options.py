"""The option ``moq`` of the step ``quantize``."""

from pydantic import Field

from models.compress.steps.tuning.options import TuneConfig


class MoqConfig(TuneConfig):
    """A tuning with rounded weights, whose bits fall until they are those of the quantised model.

    Attributes:
        start_bits: bits of the weights at the start.
        period: optimiser steps until a layer loses a bit. The most sensitive layers take five times as many.
    """

    start_bits: int = Field(default=16, ge=8, le=16)
    period: int = Field(default=16, ge=1)
