"""The bits of a layer by training step, as in DeepSpeed's MoQ (deepspeed 0.9, runtime/quantize.py).

A layer loses a bit after each period. Its period is multiplied by 1 + floor(4 * ratio), where the ratio is its
eigenvalue by the largest one. DeepSpeed also doubles the period at each fall. Here it stays, so that a short tuning
reaches the last bits.
"""

import math
from collections.abc import Sequence


def periods_of(eigenvalues: Sequence[float], period: int) -> list[int]:
    """Return each layer's period in training steps."""
    largest = max(eigenvalues, default=0.0)
    ratios = [value / largest if largest else 0.0 for value in eigenvalues]
    return [period * (1 + math.floor(ratio * 4)) for ratio in ratios]


def bits_at(step: int, start_bits: int, target_bits: int, period: int) -> int:
    """Return a layer's bits after some training steps."""
    return max(target_bits, start_bits - step // period)
