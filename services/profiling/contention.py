"""Contention: the time of batches while sibling replicas run, relative to the isolated profile."""

from dataclasses import dataclass

import numpy as np

from autoscale.capacity.service_time import ServiceTime
from autoscale.traces.recorded_batches import RecordedBatches


@dataclass(frozen=True, slots=True)
class Contention:
    """As ``Profile`` has them. ratio: to the time by itself, while none of its like runs; sigma: of its logarithm."""

    ratio: float
    contention: float
    neighbours: int
    sigma: float


def fit_contention(batches: RecordedBatches, alone: ServiceTime) -> Contention:
    """Fit what a replica's batches took to what they take ``alone`` and to what ran beside them.

    Least squares of the ratio on a constant and the share of the time that others ran; neither makes a batch shorter.
    """
    from scipy.optimize import nnls

    ratios = batches.seconds / alone.batch_s(batches.requests, batches.candidates)
    beside = batches.beside()
    columns = np.stack([np.ones_like(beside), beside], axis=1)
    (ratio, more), _ = nnls(columns, ratios)
    if ratio <= 0:  # too few ran alone to tell
        ratio, more = float(ratios.mean()), 0.0
    spread = np.log(ratios / (columns @ np.array([ratio, more])))
    return Contention(
        ratio=round(float(ratio), 4),
        contention=round(float(more / ratio), 4),
        neighbours=batches.replicas - 1,
        sigma=round(float(spread.std()), 4),
    )
