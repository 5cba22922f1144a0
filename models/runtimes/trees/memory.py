"""The memory that the tree libraries need for a model."""

from models.runtimes.base import Held, RuntimeOptions
from models.runtimes.weight_sizes import MIB, Weights

_FACTOR = {"lightgbm": 6, "xgboost": 3}
"""Bytes in memory for each byte of the file. Measured: 14.8 MiB for 3.3 MiB of text, 22 MiB for 7.2 MiB of UBJSON."""


def held_trees(config: RuntimeOptions, weights: Weights) -> Held:
    """Return the memory of a model that is loaded from the library's own file."""
    factor = _FACTOR[config.kind]
    why = (
        f"as configured; {weights.native_bytes / MIB:,.2f} MiB of trees in the file of {config.kind}, and {factor} "
        f"times as much in memory"
    )
    return Held(factor * weights.native_bytes, why)
