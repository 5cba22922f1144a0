"""The router: splits an ingress's calls over the pools of a unit, by weights that change while it runs.

Smooth weighted round robin (nginx's), counted in candidates: over any stretch of calls each pool gets its weight's
share of the candidates, and the calls of one pool do not come in a row. A pool without replicas, or that fails, is
left out; what is asked of it goes to the others. So does what a pool is silent on for much longer than usual.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from services.breaker import Breaker, BreakerConfig
from services.errors import Overloaded

_PATIENCE_S, _TIMES_USUAL = 0.1, 4.0
_UNKNOWN_S = 0.2
"""What the answers of a pool are taken to need that has given none."""
_LET_GO_S = 2.0


@dataclass(frozen=True, slots=True)
class RankerPool:
    """The ranker unit in one pool: how it is called, and whether it has a replica that could answer."""

    call: Callable[[bytes], Awaitable[bytes]]
    has_replicas: Callable[[], bool] = lambda: True


@dataclass(slots=True)
class _Route:
    """A pool as the router sees it.

    credit: candidates that are its due, of those sent so far. usual_s: what its answers take, smoothed.
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
        """How long a call may be without an answer before another pool is asked as well."""
        return _PATIENCE_S + _TIMES_USUAL * (_UNKNOWN_S if self.usual_s is None else self.usual_s)


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
        """Send a packed batch of so many candidates to a pool, and to the next where that fails or is silent.

        Raises:
            Exception: what the last of the pools raised. Overloaded: the pool's own refusal, which is no failure.
        """
        if len(self._routes) == 1:
            return await self._ask(self._routes[0], payload)
        left, asked = list(self._routes), set[asyncio.Task[bytes]]()
        try:
            while True:
                route = self._choose(left, candidates)
                left.remove(route)
                asked.add(asyncio.create_task(self._ask(route, payload)))
                answer = await self._first(asked, route, left)
                if answer is not None:
                    return answer
        except asyncio.CancelledError:
            for task in asked:
                task.cancel()
            raise
        finally:
            for task in asked:
                _let_go(task)

    async def _ask(self, route: _Route, payload: bytes) -> bytes:
        started_s = self._clock()
        try:
            answer = await route.pool.call(payload)
        except Overloaded:
            raise
        except asyncio.CancelledError:
            # Nothing came of it in all that time: it may hang. A caller with a short deadline proves nothing.
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
        self, asked: "set[asyncio.Task[bytes]]", route: _Route, left: Sequence[_Route]
    ) -> bytes | None:
        """Wait for an answer; None where one of ``left`` is to be asked, as the last, ``route``, fails or is silent.

        A call to a lost node does not fail: Serve keeps it for the replica that will take the lost one's place. The
        call that is given up goes on for a while (Dean and Barroso, The Tail at Scale, 2013); its pool is taken for
        failing until it answers. One that answers other calls meanwhile has much to do, and is not given more.
        """
        since_s = self._clock()
        while True:
            patience_s = route.patience_s if left else None
            done, _ = await asyncio.wait(asked, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                if route.answered_s < since_s and self._able(left):
                    route.breaker = route.breaker.failed(self._clock())
                    return None
                since_s = self._clock()
            for task in done:
                asked.remove(task)
                error = task.exception()
                if error is None:
                    return task.result()
                if isinstance(error, Overloaded) or not (left or asked):
                    raise error
            if done and left:
                return None

    def _choose(self, routes: Sequence[_Route], candidates: int) -> _Route:
        if len(routes) == 1:
            return routes[0]
        # Where none is able one is asked all the same: calls that wait for a replica are what starts the first one.
        open_to = self._able(routes) or routes
        weighed = [route for route in open_to if route.weight > 0]
        total = sum(route.weight for route in weighed)
        for route in weighed:
            route.credit += candidates * route.weight / total
        chosen = max(weighed or open_to, key=lambda route: route.credit)
        chosen.credit -= candidates if weighed else 0.0
        chosen.breaker = chosen.breaker.asked(self._clock())[1]
        return chosen

    def _able(self, routes: Sequence[_Route]) -> list[_Route]:
        now_s = self._clock()
        return [route for route in routes if route.breaker.asked(now_s)[0] and route.pool.has_replicas()]


def _let_go(task: "asyncio.Task[bytes]") -> None:
    """Let a call that is not waited for any more tell its pool's state, for a while, and bother nobody."""
    giving_up = asyncio.get_running_loop().call_later(_LET_GO_S, task.cancel)

    def end(ended: "asyncio.Task[bytes]") -> None:
        giving_up.cancel()
        if not ended.cancelled():
            ended.exception()  # it has been counted; unread, asyncio would log it

    task.add_done_callback(end)
