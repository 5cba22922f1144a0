"""Contention: how much longer batches take while the unit's other replicas on the machine (siblings) run."""

from dataclasses import dataclass

import numpy as np

from autoscale.capacity.service_time import ServiceTime
from autoscale.traces.recorded_batches import RecordedBatches


@dataclass(frozen=True, slots=True)
class Contention:
    """A unit's contention.

    ``Profile`` has these fields as ``served_ratio``, ``contention``, ``neighbours`` and ``served_sigma``.

    Attributes:
        ratio: the batch time in the service while no sibling runs, as a multiple of the isolated time.
        contention: the relative increase in batch time while all siblings run.
        neighbours: the number of siblings.
        sigma: the standard deviation of ln(measured batch time / fitted batch time).
    """

    ratio: float
    contention: float
    neighbours: int
    sigma: float


def fit_contention(batches: RecordedBatches, isolated: ServiceTime) -> Contention:
    """Fit the recorded batch times to the isolated times ``isolated`` and to the batches of sibling replicas.

    This is a least squares fit of the ratio to a constant and the share of time in which siblings ran. Both
    coefficients are at least 0: neither makes a batch shorter.
    """
    from scipy.optimize import nnls

    ratios = batches.seconds / isolated.batch_s(batches.requests, batches.candidates)
    sibling_share = batches.beside()
    columns = np.stack([np.ones_like(sibling_share), sibling_share], axis=1)
    (ratio, increase), _ = nnls(columns, ratios)
    if ratio <= 0:  # too few batches ran without siblings to fit a constant
        ratio, increase = float(ratios.mean()), 0.0
    spread = np.log(ratios / (columns @ np.array([ratio, increase])))
    return Contention(
        ratio=round(float(ratio), 4),
        contention=round(float(increase / ratio), 4),
        neighbours=batches.replicas - 1,
        sigma=round(float(spread.std()), 4),
    )
