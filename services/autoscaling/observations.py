"""What policies see of a running pipeline: counts that replicas keep, as Serve's controller hands them over."""

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
    """A value that a replica recorded; ``timestamp`` in seconds since 1970."""

    @property
    def timestamp(self) -> float:
        """When."""
        ...

    @property
    def value(self) -> float:
        """What."""
        ...


class Context(Protocol):
    """What Serve gives a policy of one deployment: the part of its ``AutoscalingContext`` that is read here."""

    @property
    def current_num_replicas(self) -> int:
        """Replicas that answer."""
        ...

    @property
    def target_num_replicas(self) -> int:
        """Replicas that were asked for last."""
        ...

    @property
    def total_num_requests(self) -> float:
        """Requests at replicas and in handles, averaged over Serve's look-back window."""
        ...

    @property
    def raw_metrics(self) -> Mapping[str, Mapping[Any, Sequence[Sample]]] | None:
        """What replicas recorded, by name and replica, oldest first."""
        ...

    @property
    def current_time(self) -> float | None:
        """Seconds since 1970, on the controller's clock."""
        ...


def recorded(waiting_candidates: int, metrics: UnitMetrics) -> dict[str, float]:
    """Give what a replica records of itself: its queue now, and its counts since it started."""
    return {
        _WAITING_CANDIDATES: float(waiting_candidates),
        _ARRIVED_REQUESTS: float(metrics.arrived_requests),
        _ARRIVED_CANDIDATES: float(metrics.arrived_candidates),
        _SERVED_CANDIDATES: float(metrics.candidate_count),
        _SHED_REQUESTS: float(metrics.shed_requests),
        _MISSED_REQUESTS: float(metrics.missed_requests),
    }


def observe(contexts: Mapping[Key, Context], now_s: float, window_s: float) -> Observation:
    """Give what is known of each deployment; rates are over the last ``window_s`` that it told of.

    Rates are differences within one replica: one that starts, or that starts again, counts from its own first sample,
    and one that went takes nothing away.
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
    """Give how fast a count rose, a second."""
    if len(series) < 2:
        return 0.0
    last = series[-1]
    first = next((s for s in reversed(series) if s.timestamp <= last.timestamp - window_s), series[0])
    elapsed_s = last.timestamp - first.timestamp
    return max(0.0, last.value - first.value) / elapsed_s if elapsed_s > 0 else 0.0


def _newest_s(context: Context) -> float | None:
    """Give when the deployment's replicas last told anything."""
    every = (context.raw_metrics or {}).get(_ARRIVED_CANDIDATES, {}).values()
    return max((series[-1].timestamp for series in every if series), default=None)
