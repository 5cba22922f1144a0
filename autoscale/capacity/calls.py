"""Calls to the next unit: their duration, and the load at which they limit the calling replica.

A replica has at most ``max_calls_in_flight`` batches in progress. A batch that was sent to the next unit counts until
the answer arrives. Therefore a replica serves at most

    calls in flight x candidates in a full batch / (its own time for the batch + the next unit's response time)

For example, a replica may have 2 calls in flight. A batch of 1,000 candidates takes 20 ms in the replica and 30 ms in
the next unit. That allows 40,000 candidates/s, although the replica alone could serve 50,000.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from autoscale.capacity.batch_queue import BatchQueue
from autoscale.capacity.service_time import ServiceTime, service_time
from autoscale.spec import Key, PipelineSpec, UnitSpec

_FULLEST = 0.9
"""The highest assumed load on the next unit, as a share of its saturation. Near saturation, waits grow without
bound."""


@dataclass(frozen=True, slots=True)
class CallLimit:
    """The limit on a replica that follows from its calls to the next unit.

    Attributes:
        unit: the next unit.
        calls: how many calls may be in flight.
        candidates: the candidates in a full batch.
        own_s: the replica's own time for a full batch.
        response_s: the next unit's response time, including the hop.
    """

    unit: str
    calls: int
    candidates: float
    own_s: float
    response_s: float

    @property
    def per_s(self) -> float:
        """Candidates per second that the calls allow."""
        return self.calls * self.candidates / self.call_s

    @property
    def call_s(self) -> float:
        """The time for which a batch counts as a call in flight."""
        return self.own_s + self.response_s

    def calls_for(self, per_s: float) -> int:
        """Return how many calls in flight allow ``per_s`` candidates per second."""
        return max(1, math.ceil(per_s * self.call_s / self.candidates - 1e-9))


def next_unit(spec: PipelineSpec, name: str) -> UnitSpec | None:
    """Return the unit that the unit ``name`` calls, or None for the last unit."""
    names = [unit.name for unit in spec.units]
    index = names.index(name) + 1
    return spec.units[index] if index < len(names) else None


def call_limit(
    spec: PipelineSpec, key: Key, to: Key, candidates_per_request: float, load_per_s: float
) -> CallLimit:
    """Return the limit on a replica whose calls all go to ``to``.

    Args:
        spec: the pipeline.
        key: the calling replica.
        to: the called unit and pool.
        candidates_per_request: the request size.
        load_per_s: the assumed load on a called replica, in candidates/s. This is the load that the replica is sized
            for.
    """
    unit = spec.unit(key.unit)
    requests = max(1, int(unit.max_candidates / candidates_per_request))
    candidates = requests * candidates_per_request
    called_service = service_time(spec.placed(to).profile)
    queue = BatchQueue(
        _service_of_calls(called_service, requests), candidates, spec.unit(to.unit).max_candidates
    )
    calls_per_s = min(load_per_s / candidates, _FULLEST * queue.saturation_per_s)
    return CallLimit(
        unit=to.unit,
        calls=unit.max_calls_in_flight,
        candidates=candidates,
        own_s=max(float(service_time(spec.placed(key).profile).busy_s(requests, candidates)), 1e-6),
        response_s=called_service.overhead_s + queue.mean_s(calls_per_s),
    )


def mixed(limits: Mapping[str, CallLimit], shares: Mapping[str, float]) -> CallLimit:
    """Return the limit if calls are spread over pools by ``shares``. At least one share is above 0."""
    total = sum(shares.values())
    response_s = sum(share / total * limits[pool].response_s for pool, share in shares.items())
    return replace(next(iter(limits.values())), response_s=response_s)


@functools.lru_cache(maxsize=256)
def _service_of_calls(service: ServiceTime, requests: int) -> ServiceTime:
    """Return the service time for calls with ``requests`` requests each. One call then counts as one request."""
    return replace(
        service,
        per_request_s=service.per_request_s * requests,
        overhead_cpu_s=service.overhead_cpu_s * requests,
    )
