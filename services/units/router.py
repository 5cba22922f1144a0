"""The router splits an ingress's calls over a unit's pools, by weights that can change at any time.

It uses nginx's smooth weighted round robin, counted in candidates. In any series of calls, each pool gets candidates in
proportion to its weight, and the calls to one pool are spread out.

A pool is skipped if it has no replicas or if it fails. Its calls go to the other pools. A call is also sent to another
pool if the first pool has not answered for much longer than usual.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from services.breaker import Breaker, BreakerConfig
from services.errors import Overloaded

_PATIENCE_S, _TIMES_USUAL = 0.1, 4.0
_UNKNOWN_S = 0.2
"""The assumed answer time for a pool that has not answered yet."""
_ABANDONED_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True)
class RankerPool:
    """The ranker unit in one pool.

    Attributes:
        call: sends a packed batch and returns the packed scores.
        has_replicas: returns whether the pool has a replica that could answer.
    """

    call: Callable[[bytes], Awaitable[bytes]]
    has_replicas: Callable[[], bool] = lambda: True


@dataclass(slots=True)
class _Route:
    """The router's state for one pool.

    Attributes:
        breaker: skips the pool after failures.
        weight: the pool's weight, relative to the other pools' weights.
        credit: the candidates that the pool should have got so far, minus the candidates that it got.
        answered_s: the time of the pool's last answer.
        usual_s: the pool's smoothed answer time in seconds. None before the first answer.
    """

    name: str
    pool: RankerPool
    breaker: Breaker
    weight: float = 1.0
    credit: float = 0.0
    answered_s: float = float("-inf")
    usual_s: float | None = None

    @property
    def patience_s(self) -> float:
        """How long a call waits for an answer before it is also sent to another pool."""
        return _PATIENCE_S + _TIMES_USUAL * (_UNKNOWN_S if self.usual_s is None else self.usual_s)


class PoolRouter:
    """Sends an ingress's calls to a ranker unit in one or more pools. For one event loop only."""

    def __init__(
        self,
        pools: Mapping[str, RankerPool],
        breaker: BreakerConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Split the calls evenly until ``reweigh`` is called.

        Args:
            pools: the pools by name.
            breaker: after how many failures a pool is skipped, and for how long.
            clock: returns the time in seconds.
        """
        self._clock = clock
        state = Breaker(breaker or BreakerConfig())
        self._routes = [_Route(name, pool, state) for name, pool in pools.items()]
        for pool in pools.values():
            pool.has_replicas()  # a handle subscribes to updates when it is first used

    def reweigh(self, weights: Mapping[str, float]) -> None:
        """Use new weights from the next call on. A pool that is not listed gets weight 0."""
        for route in self._routes:
            route.weight, route.credit = max(0.0, weights.get(route.name, 0.0)), 0.0

    async def __call__(self, payload: bytes, candidates: int) -> bytes:
        """Send a packed batch to a pool. If the pool fails or does not answer in time, try the next pool, too.

        Raises:
            Overloaded: a pool refused the batch. This does not count as a pool failure.
            Exception: all pools failed. This is the last pool's error.
        """
        if len(self._routes) == 1:
            return await self._ask(self._routes[0], payload)
        untried, calls = list(self._routes), set[asyncio.Task[bytes]]()
        try:
            while True:
                route = self._choose(untried, candidates)
                untried.remove(route)
                calls.add(asyncio.create_task(self._ask(route, payload)))
                answer = await self._first(calls, route, untried)
                if answer is not None:
                    return answer
        except asyncio.CancelledError:
            for task in calls:
                task.cancel()
            raise
        finally:
            for task in calls:
                _abandon(task)

    async def _ask(self, route: _Route, payload: bytes) -> bytes:
        started_s = self._clock()
        try:
            answer = await route.pool.call(payload)
        except Overloaded:
            raise
        except asyncio.CancelledError:
            # If the pool has answered nothing for longer than usual, it may hang. If the caller merely had a short
            # deadline, the cancelled call does not show whether the pool works.
            now_s = self._clock()
            if route.answered_s < started_s and now_s - started_s >= route.patience_s:
                route.breaker = route.breaker.failed(now_s)
            raise
        except Exception:
            route.breaker = route.breaker.failed(self._clock())
            raise
        route.answered_s = self._clock()
        route.breaker = route.breaker.succeeded()
        took_s = route.answered_s - started_s
        route.usual_s = took_s if route.usual_s is None else 0.8 * route.usual_s + 0.2 * took_s
        return answer

    async def _first(
        self, calls: "set[asyncio.Task[bytes]]", route: _Route, untried: Sequence[_Route]
    ) -> bytes | None:
        """Wait for an answer. Return None if the caller should send the batch to another pool, too.

        That is the case if the last pool failed, or if it answered no call at all for longer than usual. The second
        case is needed because a call to a lost node does not fail: Serve keeps the call for the replica that replaces
        the lost replica. A pool that answers other calls in the meantime is only busy, so the call waits for it.

        The first call goes on for a while after the batch was sent to another pool (Dean and Barroso, The Tail at
        Scale, 2013). The first call's pool counts as failing until the pool answers.

        Args:
            calls: the calls that are still running.
            route: the pool of the last call.
            untried: the pools to which the batch has not been sent.
        """
        since_s = self._clock()
        while True:
            patience_s = route.patience_s if untried else None
            done, _ = await asyncio.wait(calls, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                if route.answered_s < since_s and self._usable(untried):
                    route.breaker = route.breaker.failed(self._clock())
                    return None
                since_s = self._clock()
            for task in done:
                calls.remove(task)
                error = task.exception()
                if error is None:
                    return task.result()
                if isinstance(error, Overloaded) or not (untried or calls):
                    raise error
            if done and untried:
                return None

    def _choose(self, routes: Sequence[_Route], candidates: int) -> _Route:
        if len(routes) == 1:
            return routes[0]
        # If no pool can answer, call one anyway. Serve starts the first replica only if calls wait for it.
        usable = self._usable(routes) or routes
        weighted = [route for route in usable if route.weight > 0]
        total = sum(route.weight for route in weighted)
        for route in weighted:
            route.credit += candidates * route.weight / total
        chosen = max(weighted or usable, key=lambda route: route.credit)
        chosen.credit -= candidates if weighted else 0.0
        chosen.breaker = chosen.breaker.admit(self._clock())[1]
        return chosen

    def _usable(self, routes: Sequence[_Route]) -> list[_Route]:
        now_s = self._clock()
        return [route for route in routes if route.breaker.admit(now_s)[0] and route.pool.has_replicas()]


def _abandon(task: "asyncio.Task[bytes]") -> None:
    """Let an unneeded call run for 2 more seconds, because its result still shows the pool's state."""
    giving_up = asyncio.get_running_loop().call_later(_ABANDONED_LIMIT_S, task.cancel)

    def end(ended: "asyncio.Task[bytes]") -> None:
        giving_up.cancel()
        if not ended.cancelled():
            ended.exception()  # the breaker has counted the error. asyncio logs an error that nobody reads

    task.add_done_callback(end)
