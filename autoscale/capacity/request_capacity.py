"""The requests per second that a replica serves within its unit's share of the objective."""

from dataclasses import dataclass

from autoscale.capacity.prices import price
from autoscale.capacity.sizing import Sizing
from autoscale.errors import SpecError
from autoscale.spec import Key, PipelineSpec


@dataclass(frozen=True, slots=True)
class RequestCapacity:
    """A replica's capacity.

    Attributes:
        requests_per_s: requests per second with p99 within the unit's share of the objective.
        saturated_requests_per_s: requests per second if the replica is never idle.
        limited_by_calls: whether the calls in flight to the next unit limit both numbers.
    """

    requests_per_s: float
    saturated_requests_per_s: float
    limited_by_calls: bool = False


def request_capacities(spec: PipelineSpec) -> dict[Key, RequestCapacity]:
    """Return a replica's capacity for each unit in each pool, without pools that are too slow for the unit's share.

    The capacity in a spot pool is reduced by the share of time that a replica is expected to lack a node. Calls to the
    next unit are assumed to go to the pool in which a request costs least.

    Raises:
        SpecError: no pool of a unit answers a request within the unit's share.
    """
    sizing, size = Sizing(spec), float(spec.candidates_per_request)
    loads: dict[Key, RequestCapacity] = {}
    cheapest: dict[str, float] = {}
    for unit in reversed(spec.units):
        for placed in unit.placed:
            key = Key(unit.name, placed.pool)
            capacity = sizing.capacity(key, size, cheapest)
            if capacity.feasible:
                availability = _availability(spec, key) / size
                limited = capacity.calls is not None
                loads[key] = RequestCapacity(
                    capacity.per_s * availability, capacity.saturation_per_s * availability, limited
                )
        if not any(key.unit == unit.name for key in loads):
            raise SpecError(
                f"units.{unit.name}: no pool answers {spec.candidates_per_request} candidates within the unit's share "
                f"of the objective. The share is {sizing.shares_s[unit.name] * 1e3:.0f} ms of {spec.p99_ms:g} "
                f"ms, without "
                f"the overhead outside batches; raise autoscaling.p99_ms or the share, lower candidates.count, or add "
                f"a faster pool"
            )
        unit_keys = [key for key in loads if key.unit == unit.name]
        cheapest = {min(unit_keys, key=lambda key: price(spec, key) / loads[key].requests_per_s).pool: 1.0}
    return loads


def _availability(spec: PipelineSpec, key: Key) -> float:
    spot = spec.pools[key.pool].spot
    if spot is None:
        return 1.0
    away_s = spec.pools[key.pool].provisioning_s + spec.placed(key).profile.startup_s - spot.notice_s
    return 1.0 / (1.0 + max(0.0, away_s) * spot.interruptions_per_hour / 3600)
