"""The router: splits an ingress's calls over the pools of a unit, by weights that change while it runs.

Smooth weighted round robin (nginx's), counted in candidates: over any stretch of calls each pool gets its weight's
share of the candidates, and the calls of one pool do not come in a row. A pool without replicas, or that fails, is
left out; what is asked of it goes to the others.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from services.breaker import Breaker, BreakerConfig
from services.errors import Overloaded
from services.placement import Placement


class RouterConfig(BaseModel):
    """The ingress deployment's ``user_config``: the share of the ranker's candidates that each pool gets.

    Weights need not sum to 1. A pool of weight 0, or that is not named, gets nothing while another can take it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weights: dict[str, float] = Field(default_factory=dict)

    @classmethod
    def of(cls, placed: Sequence[Placement]) -> Self:
        """Give the weights that a pipeline's YAML says: a pool's own, else its replicas; equal ones where all are 0."""
        weights = {placement.key.pool: placement.weight for placement in placed}
        return cls(weights=weights if any(weights.values()) else dict.fromkeys(weights, 1.0))


@dataclass(frozen=True, slots=True)
class RankerPool:
    """The ranker unit in one pool: how it is called, and whether it has a replica that could answer."""

    call: Callable[[bytes], Awaitable[bytes]]
    has_replicas: Callable[[], bool] = lambda: True


@dataclass(slots=True)
class _Route:
    """A pool as the router sees it. credit: candidates that are its due, of those sent so far."""

    name: str
    pool: RankerPool
    breaker: Breaker
    weight: float = 1.0
    credit: float = 0.0
    answered_s: float = float("-inf")


class PoolRouter:
    """One ingress's calls to a ranker unit, whatever pools that is in. For one event loop."""

    def __init__(
        self,
        pools: Mapping[str, RankerPool],
        breaker: BreakerConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Split evenly until told otherwise; ``breaker`` says when a failing pool is left out, and for how long."""
        self._clock = clock
        state = Breaker(breaker or BreakerConfig())
        self._routes = [_Route(name, pool, state) for name, pool in pools.items()]
        for pool in pools.values():
            pool.has_replicas()  # a handle begins to listen when it is first asked

    def reweigh(self, weights: Mapping[str, float]) -> None:
        """Take new weights, from the next call on."""
        for route in self._routes:
            route.weight, route.credit = max(0.0, weights.get(route.name, 0.0)), 0.0

    async def __call__(self, payload: bytes, candidates: int) -> bytes:
        """Send a packed batch of so many candidates to a pool, and to the next where that fails; give its answer.

        Raises:
            Exception: what the last of the pools raised. Overloaded: the pool's own refusal, which is no failure.
        """
        left = list(self._routes)
        while True:
            route = self._choose(left, candidates)
            left.remove(route)
            started_s = self._clock()
            try:
                answer = await route.pool.call(payload)
            except Overloaded:
                raise
            except asyncio.CancelledError:
                if route.answered_s < started_s:  # nothing came of it in all that time: it may hang
                    route.breaker = route.breaker.failed(self._clock())
                raise
            except Exception:
                route.breaker = route.breaker.failed(self._clock())
                if not left:
                    raise
            else:
                route.answered_s = self._clock()
                route.breaker = route.breaker.succeeded()
                return answer

    def _choose(self, routes: Sequence[_Route], candidates: int) -> _Route:
        if len(routes) == 1:
            return routes[0]
        now_s = self._clock()
        able = [route for route in routes if route.breaker.asked(now_s)[0] and route.pool.has_replicas()]
        # Where none is able one is asked all the same: calls that wait for a replica are what starts the first one.
        open_to = able or routes
        weighed = [route for route in open_to if route.weight > 0]
        total = sum(route.weight for route in weighed)
        for route in weighed:
            route.credit += candidates * route.weight / total
        chosen = max(weighed or open_to, key=lambda route: route.credit)
        chosen.credit -= candidates if weighed else 0.0
        chosen.breaker = chosen.breaker.asked(now_s)[1]
        return chosen
