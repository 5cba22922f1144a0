"""The scores of all sides on the same random batches."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from benchmarks.runtimes.sides import Loaded
from models.runtimes.base import RuntimeOptions
from models.runtimes.golden import NARROW_TOLERANCE
from models.signature import Inputs

_TINY = float(np.finfo(np.float32).tiny)
TOLERANCE = 1e-4
"""The largest allowed difference, plus as large a share of the reference's score. It is that of the tests."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the scores of a side are from the reference's.

    Attributes:
        absolute: the largest difference.
        relative: the largest difference as a share of the largest score in its batch.
        tolerance: the allowed difference, in words.
    """

    side: str
    reference: str
    absolute: float
    relative: float
    tolerance: str
    within: bool


def compare(loaded: Loaded, batches: Iterable[Inputs]) -> list[Parity]:
    """Return the differences of every side except the reference."""
    worst = {side: [0.0, 0.0, True] for side in loaded.runtimes if side != loaded.reference}
    for inputs in batches:
        expected = loaded.runtimes[loaded.reference].run(inputs)
        for side, found in worst.items():
            absolute, relative, within = differences(
                expected, loaded.runtimes[side].run(inputs), is_narrow=loaded.configs[side].is_narrow
            )
            worst[side] = [max(found[0], absolute), max(found[1], relative), bool(found[2]) and within]
    return [
        Parity(
            side,
            loaded.reference,
            absolute,
            relative,
            tolerance_of(loaded.configs[side]),
            within=bool(within),
        )
        for side, (absolute, relative, within) in worst.items()
    ]


def differences(expected: Inputs, outputs: Inputs, *, is_narrow: bool) -> tuple[float, float, bool]:
    """Return the largest absolute and relative difference, and whether all are allowed. NaN is never allowed."""
    absolute, relative, within = 0.0, 0.0, True
    for name, values in expected.items():
        scores = outputs[name]
        if scores.shape != values.shape:
            return np.inf, np.inf, False
        if not values.size:
            continue
        largest = float(np.abs(values).max())
        difference = np.abs(scores.astype(np.float64) - values)
        allowed = NARROW_TOLERANCE * largest if is_narrow else TOLERANCE * (1 + np.abs(values))
        within &= bool((difference <= allowed).all())
        absolute = max(absolute, float(difference.max()))
        relative = max(relative, float(difference.max()) / max(largest, _TINY))
    return absolute, relative, within


def tolerance_of(config: RuntimeOptions) -> str:
    """Return the allowed difference in words."""
    if config.is_narrow:
        return f"{NARROW_TOLERANCE:.0%} of the largest score"
    return f"{TOLERANCE:g} + {TOLERANCE:g} of the score"
