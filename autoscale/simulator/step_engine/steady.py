"""The cluster's steady state, and the interpolation between two states."""

from dataclasses import dataclass

from autoscale.simulator.engine_base import Floats


@dataclass(frozen=True, slots=True)
class Steady:
    """The cluster's behaviour at a constant load.

    Attributes:
        outcomes: (8,) outcomes per request, with the same indices as ``EngineState.totals``.
        latencies: (BUCKETS,) the latency histogram per request.
        waiting: (keys,) waiting candidates per replica.
        ongoing: (keys,) requests at a replica. Behind the ingress these are calls.
        busy: (keys,) share of time for which a replica computes.
        batches: (keys,) batches per request.
        arrived: (keys,) share of requests that arrive at the key.
    """

    outcomes: Floats
    latencies: Floats
    waiting: Floats
    ongoing: Floats
    busy: Floats
    batches: Floats
    arrived: Floats

    def mixed(self, other: "Steady", share: float) -> "Steady":
        """Return the linear interpolation between this state and ``other``, which has the weight ``share``."""
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
