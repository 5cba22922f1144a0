"""Finds the value at which a curve bends, and continues a curve beyond its last point."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

_LEAST_CHANGE = 0.2
"""A smaller change of slope is no bend."""
_LEAST_GAIN = 4.0
"""Two lines must fit that many times better than one, by the sum of squares."""
_CURVE_GAIN = 16.0
"""The same for a quadratic part, which counts for much more beyond the last point."""
_LEAST_RISE = 1.3
_PLACES = 400


@dataclass(frozen=True, slots=True)
class Bend:
    """Where two straight lines on logarithmic axes meet.

    Attributes:
        at: the value at which they meet.
        before: the slope below. 0 is constant, 1 is linear, 2 is quadratic.
        after: the slope above.
    """

    at: float
    before: float
    after: float


def bend_of(xs: Sequence[float], ys: Sequence[float]) -> Bend | None:
    """Return the bend of a curve, or None if one straight line fits it on logarithmic axes.

    Of a cost a + b x, the bend is near x = a / b: from there on the part that grows is the larger one.

    Args:
        xs: (N,) ascending and positive, at least five.
        ys: (N,) positive.
    """
    if len(xs) < 5:
        return None
    x, y = np.log(np.asarray(xs, dtype=np.float64)), np.log(np.asarray(ys, dtype=np.float64))
    _, alone = _fitted(np.stack([np.ones_like(x), x], axis=1), y)
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for place in np.linspace(x[1], x[-2], _PLACES):
        columns = np.stack([np.ones_like(x), np.minimum(x - place, 0.0), np.maximum(x - place, 0.0)], axis=1)
        slopes, error = _fitted(columns, y)
        if best is None or error < best[0]:
            best = error, float(place), slopes
    assert best is not None
    error, place, (_, before, after) = best
    if abs(after - before) < _LEAST_CHANGE or alone < _LEAST_GAIN * error:
        return None
    return Bend(float(np.exp(place)), float(before), float(after))


@dataclass(frozen=True, slots=True)
class Rise:
    """A curve that rises from one level to another.

    Attributes:
        at: the value at which half of the rise has happened, on logarithmic axes.
        factor: the highest value over the lowest.
    """

    at: float
    factor: float


def rise_of(xs: Sequence[float], ys: Sequence[float]) -> Rise | None:
    """Return the rise of a curve, or None if it stays within ``_LEAST_RISE`` or does not begin at its lowest level.

    A time that depends on a cache rises like this, when the data outgrow the cache.

    Args:
        xs: (N,) ascending and positive.
        ys: (N,) positive.
    """
    x, y = np.log(np.asarray(xs, dtype=np.float64)), np.log(np.asarray(ys, dtype=np.float64))
    if len(y) < 3 or y.max() - y.min() < np.log(_LEAST_RISE):
        return None
    middle = (y.max() + y.min()) / 2
    after = int(np.argmax(y > middle))
    if after == 0:
        return None
    share = (middle - y[after - 1]) / (y[after] - y[after - 1])
    at = float(np.exp(x[after - 1] + share * (x[after] - x[after - 1])))
    return Rise(at, float(np.exp(y.max() - y.min())))


def _fitted(columns: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    weights = np.asarray(np.linalg.lstsq(columns, y, rcond=None)[0], dtype=np.float64)
    return weights, float(np.sum((columns @ weights - y) ** 2))


@dataclass(frozen=True, slots=True)
class Polynomial:
    """The cost a + b x + c x^2, with no negative part."""

    constant: float
    linear: float
    quadratic: float

    def __call__(self, x: float) -> float:
        """Return the value at ``x``."""
        return self.constant + self.linear * x + self.quadratic * x * x


def polynomial_of(xs: Sequence[float], ys: Sequence[float]) -> Polynomial:
    """Fit a + b x, or a + b x + c x^2 if that fits much better, to relative errors.

    No part is negative, so that a cost never falls beyond the last point. Noise alone adds no quadratic part, which
    would dominate far beyond the last point.

    Args:
        xs: (N,) at least three.
        ys: (N,) positive.
    """
    x, y = np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)
    scale = float(x.max())
    columns = np.stack([np.ones_like(x), x / scale, (x / scale) ** 2], axis=1) / y[:, None]
    (constant, linear), straight = nnls(columns[:, :2], np.ones_like(y))
    weights, curved = nnls(columns, np.ones_like(y))
    if len(x) > 3 and _CURVE_GAIN * curved**2 < straight**2:
        constant, linear, quadratic = weights
    else:
        quadratic = 0.0
    return Polynomial(float(constant), float(linear / scale), float(quadratic / scale**2))
