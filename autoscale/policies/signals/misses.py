"""Misses increase capacity. A miss is an answer after the objective, or a request degraded or refused for lack of time.

Profiles and forecasts may be wrong. Then replicas that should be enough still miss the objective. If misses last for a
whole window, they add a share to the load that a unit is sized for, at most one step per window.

A unit gets a step if it is settled, and if its load is high enough to explain misses. Settled means that nearly all its
requested replicas are ready. Without misses the addition fades.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoscale.policies.signals.windows import Times

MISSED = 0.01
"""This share of requests may miss, because the objective is a 99th percentile."""
_LEAST_STEP, _MOST_STEP = 0.05, 0.25
_FADES_S = 1800.0
_GONE = 0.005
"""A smaller addition is removed."""
_LEAST_LOAD = 0.5
"""A unit with a load below this share of its capacity is not the cause of misses."""


@dataclass(frozen=True, slots=True)
class MissState:
    """The recent misses and the additions that follow from them.

    Attributes:
        samples: pairs of (time_s, share of requests that missed) in the last window.
        settled_s: by unit, when it settled or got its last step, whichever is later.
        added: by unit, the share that is added to its load.
        last_s: the last sample's time.
    """

    samples: Times = ()
    settled_s: Mapping[str, float] = field(default_factory=dict)
    added: Mapping[str, float] = field(default_factory=dict)
    last_s: float | None = None


def missed(state: MissState, now_s: float, share: float, window_s: float) -> MissState:
    """Return the state after a share of misses at ``now_s``. Additions fade if the share is within the objective."""
    elapsed_s = 0.0 if state.last_s is None else max(0.0, now_s - state.last_s)
    samples = (*((t, s) for t, s in state.samples if now_s - window_s < t < now_s), (now_s, min(1.0, share)))
    added = state.added
    if added and share <= MISSED:
        faded = math.exp(-elapsed_s / _FADES_S)
        added = {unit: part * faded for unit, part in added.items() if part * faded >= _GONE}
    return MissState(samples, state.settled_s, added, now_s)


def lasting(state: MissState) -> float:
    """Return the mean share of misses in the window if they last, otherwise 0.

    Misses last if the mean, the newest sample and at least half the samples are above ``MISSED``. A short incident
    affects only few samples, for example a new replica's slow first call.
    """
    shares = [share for _, share in state.samples]
    above = sum(share > MISSED for share in shares)
    mean = sum(shares) / max(1, len(shares))
    return mean if mean > MISSED and 2 * above >= len(shares) and shares[-1] > MISSED else 0.0


def raised(
    state: MissState,
    now_s: float,
    unit: str,
    *,
    starting: bool,
    load: float,
    window_s: float,
    max_addition: float,
) -> MissState:
    """Return the state with one more step for the unit, if misses last and the unit may be their cause.

    For example, if 10% of requests miss, an addition of 20% becomes 1.2 x 1.1 - 1 = 32%.

    Args:
        state: the state.
        now_s: the present.
        unit: the unit.
        starting: whether the unit is not settled, because some replicas are starting.
        load: the ready replicas' load relative to their capacity.
        window_s: the least time between steps.
        max_addition: the largest addition.
    """
    since_s = now_s if starting else state.settled_s.get(unit, now_s)
    added, share = state.added, lasting(state)
    if share and now_s - since_s >= window_s and load >= _LEAST_LOAD and added.get(unit, 0.0) < max_addition:
        step = min(max(share, _LEAST_STEP), _MOST_STEP)
        added = {**added, unit: min(max_addition, (1 + added.get(unit, 0.0)) * (1 + step) - 1)}
        since_s = now_s
    return MissState(state.samples, {**state.settled_s, unit: since_s}, added, state.last_s)
