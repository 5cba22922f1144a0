"""A steady state of the cluster, and the mean of two."""

from dataclasses import dataclass

from autoscale.simulator.engine_base import Floats


@dataclass(frozen=True, slots=True)
class Steady:
    """What happens at a load, for each request: outcomes (8,) as in ``World.totals``, latencies (BUCKETS,).

    waiting, ongoing: candidates in the queues and requests (calls) at replicas, by key, for each replica; busy: the
    share of the time that one is. batches, arrived: for each request; the latter counts requests whose calls came.
    """

    outcomes: Floats
    latencies: Floats
    waiting: Floats
    ongoing: Floats
    busy: Floats
    batches: Floats
    arrived: Floats

    def mixed(self, other: "Steady", share: float) -> "Steady":
        """Return this with a share of another."""
        return Steady(*(a + share * (b - a) for a, b in zip(_parts(self), _parts(other), strict=True)))


def _parts(state: Steady) -> tuple[Floats, ...]:
    return (
        state.outcomes,
        state.latencies,
        state.waiting,
        state.ongoing,
        state.busy,
        state.batches,
        state.arrived,
    )
