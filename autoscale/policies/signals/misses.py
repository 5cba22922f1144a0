"""Misses: answers that came after the objective, or were degraded or refused for lack of time, raise capacity.

Profiles and forecasts may be wrong. If so, replicas that should suffice miss the objective all the same. A share of
misses that lasts for a whole window adds to the load that a unit is sized for, a step a window. A unit is raised only
while it is settled, with nothing starting, and if it has as much to do as could explain misses. Without misses the
addition fades.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoscale.policies.signals.windows import Times

MISSED = 0.01
"""Share of the requests that may miss: the objective is a 99th percentile."""
_LEAST_STEP, _MOST_STEP = 0.05, 0.25
_FADES_S = 1800.0
_GONE = 0.005
"""An addition below this is forgotten."""
_LEAST_LOAD = 0.5
"""A unit whose replicas are given less than this share of what they take is not the cause."""


@dataclass(frozen=True, slots=True)
class MissState:
    """samples: (time_s, share of the requests that missed), of the last window.

    settled_s: by unit, since when nothing of it starts. added: by unit, share that is added to its load.
    """

    samples: Times = ()
    settled_s: Mapping[str, float] = field(default_factory=dict)
    added: Mapping[str, float] = field(default_factory=dict)
    last_s: float | None = None


def missed(state: MissState, now_s: float, share: float, window_s: float) -> MissState:
    """Return the state with the share of misses that was seen at ``now_s``. Additions fade if there are none."""
    elapsed_s = 0.0 if state.last_s is None else max(0.0, now_s - state.last_s)
    samples = (*((t, s) for t, s in state.samples if now_s - window_s < t < now_s), (now_s, min(1.0, share)))
    added = state.added
    if added and share <= MISSED:
        faded = math.exp(-elapsed_s / _FADES_S)
        added = {unit: part * faded for unit, part in added.items() if part * faded >= _GONE}
    return MissState(samples, state.settled_s, added, now_s)


def lasting(state: MissState) -> float:
    """Return the mean share of misses in the window, if that and half of its samples are above ``MISSED``; else 0.

    One bad moment, such as the first call of a replica that was slow to start, is in few samples.
    """
    shares = [share for _, share in state.samples]
    above = sum(share > MISSED for share in shares)
    mean = sum(shares) / max(1, len(shares))
    return mean if mean > MISSED and 2 * above >= len(shares) and shares[-1] > MISSED else 0.0


def raised(
    state: MissState, now_s: float, unit: str, *, starting: bool, load: float, window_s: float, most: float
) -> MissState:
    """Return the state with one more step for the unit, if misses last and it may be their cause.

    load: share of what its ready replicas take that they are given. most: the addition is no more than this.
    """
    since_s = now_s if starting else state.settled_s.get(unit, now_s)
    added, share = state.added, lasting(state)
    if share and now_s - since_s >= window_s and load >= _LEAST_LOAD and added.get(unit, 0.0) < most:
        step = min(max(share, _LEAST_STEP), _MOST_STEP)
        added = {**added, unit: min(most, (1 + added.get(unit, 0.0)) * (1 + step) - 1)}
        since_s = now_s
    return MissState(state.samples, {**state.settled_s, unit: since_s}, added, state.last_s)
