"""Observations of a running pipeline for policies. Replicas record counts, and Serve's controller collects them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from autoscale.policies.base import Observation, UnitObservation
from autoscale.spec import Key
from services.telemetry.metrics import UnitMetrics

_ARRIVED_REQUESTS = "arrived_requests"
_ARRIVED_CANDIDATES = "arrived_candidates"
_SERVED_CANDIDATES = "served_candidates"
_SHED_REQUESTS = "shed_requests"
_MISSED_REQUESTS = "missed_requests"
_WAITING_CANDIDATES = "waiting_candidates"


class Sample(Protocol):
    """A value that a replica recorded."""

    @property
    def timestamp(self) -> float:
        """When the value was recorded, in seconds since 1970."""
        ...

    @property
    def value(self) -> float:
        """The recorded value."""
        ...


class Context(Protocol):
    """The fields of Serve's ``AutoscalingContext`` that this module reads. Serve makes one context per deployment."""

    @property
    def current_num_replicas(self) -> int:
        """The count of running replicas."""
        ...

    @property
    def target_num_replicas(self) -> int:
        """The replica count that was requested last."""
        ...

    @property
    def total_num_requests(self) -> float:
        """Requests at replicas and in handles, averaged over Serve's look-back window."""
        ...

    @property
    def raw_metrics(self) -> Mapping[str, Mapping[Any, Sequence[Sample]]] | None:
        """The values that replicas recorded, by name and replica, oldest first."""
        ...

    @property
    def current_time(self) -> float | None:
        """The controller's time, in seconds since 1970."""
        ...


def recorded(waiting_candidates: int, metrics: UnitMetrics) -> dict[str, float]:
    """Return the values that a replica records: its queue now, and its counts since it started."""
    return {
        _WAITING_CANDIDATES: float(waiting_candidates),
        _ARRIVED_REQUESTS: float(metrics.arrived_requests),
        _ARRIVED_CANDIDATES: float(metrics.arrived_candidates),
        _SERVED_CANDIDATES: float(metrics.candidate_count),
        _SHED_REQUESTS: float(metrics.shed_requests),
        _MISSED_REQUESTS: float(metrics.missed_requests),
    }


def observe(contexts: Mapping[Key, Context], now_s: float, window_s: float) -> Observation:
    """Return an observation of all deployments.

    A unit's rate is the sum over its replicas. Each replica adds its own increase in the last ``window_s``, or since
    its first sample if it started later. A replica that is gone therefore makes no rate negative.

    Args:
        contexts: Serve's context for each deployment.
        now_s: the current time.
        window_s: the time over which rates are measured.

    Returns:
        The observation. Each deployment's newest sample has an age, and the largest of them is the observation's age.
        The age is infinite if replicas are ready but no replica has recorded a value.
    """
    newest_s = [newest for context in contexts.values() if (newest := _newest_s(context)) is not None]
    some_ready = any(context.current_num_replicas for context in contexts.values())
    age_s = max(0.0, now_s - min(newest_s)) if newest_s else math.inf if some_ready else 0.0
    return Observation({key: _unit(context, window_s) for key, context in contexts.items()}, age_s)


def _unit(context: Context, window_s: float) -> UnitObservation:
    metrics = context.raw_metrics or {}

    def rate(name: str) -> float:
        return sum(_rate(series, window_s) for series in metrics.get(name, {}).values())

    return UnitObservation(
        ready=context.current_num_replicas,
        target=context.target_num_replicas,
        arriving_requests_per_s=rate(_ARRIVED_REQUESTS),
        arriving_candidates_per_s=rate(_ARRIVED_CANDIDATES),
        served_candidates_per_s=rate(_SERVED_CANDIDATES),
        shed_requests_per_s=rate(_SHED_REQUESTS),
        missed_requests_per_s=rate(_MISSED_REQUESTS),
        waiting_candidates=sum(
            series[-1].value for series in metrics.get(_WAITING_CANDIDATES, {}).values() if series
        ),
        ongoing_requests=context.total_num_requests,
    )


def _rate(series: Sequence[Sample], window_s: float) -> float:
    """Return a count's increase per second."""
    if len(series) < 2:
        return 0.0
    last = series[-1]
    first = next((s for s in reversed(series) if s.timestamp <= last.timestamp - window_s), series[0])
    elapsed_s = last.timestamp - first.timestamp
    return max(0.0, last.value - first.value) / elapsed_s if elapsed_s > 0 else 0.0


def _newest_s(context: Context) -> float | None:
    """Return the time of the deployment's newest sample, or None if there is no sample."""
    every = (context.raw_metrics or {}).get(_ARRIVED_CANDIDATES, {}).values()
    return max((series[-1].timestamp for series in every if series), default=None)
