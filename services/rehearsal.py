"""The rehearsal: before a replica is ready, every batch shape runs on the path that requests take.

Warm-up runs the stages where they are loaded. A rehearsal goes further: through the runner's threads and queues, every
rung of the fallback ladder, and the calls to other units. Its batches are counted nowhere and teach nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from services.errors import ServiceError

_RETRY_PERIOD_S = 0.1
_ATTEMPT_LIMIT_S = 30.0
"""A call that hangs is given up and sent again."""
_START_LIMIT_S = 120.0
"""A replica starts without the other units after so long: an answer of a lower rung is better than none."""
logger = logging.getLogger("ray.serve")


class Rehearsal:
    """The rehearsal of one replica. ``waits_for`` names the units that have not taken part yet."""

    def __init__(
        self,
        run: Callable[[int, int], Awaitable[None]],
        *,
        shapes: Sequence[int],
        rungs: int,
        other_units: Sequence[str] = (),
        start_limit_s: float = _START_LIMIT_S,
    ) -> None:
        """Run batches by ``run``, which takes the number of requests and the rung.

        shapes: the numbers of requests of a batch. rungs: of the longest ladder. other_units: those that the best
        rungs call. start_limit_s: how long they are waited for before the replica starts without them.
        """
        self._run, self._shapes, self._rungs = run, shapes, rungs
        self._start_limit_s = start_limit_s
        self._background: asyncio.Task[None] | None = None
        self.waits_for = tuple(other_units)

    async def start(self) -> None:
        """Rehearse; return as soon as the replica may be started.

        Raises:
            ServiceError: a stage failed. A replica that waits for other units goes on rehearsing instead.
        """
        for rung in reversed(range(self._rungs)):
            if rung == 0 and self.waits_for:
                await self._with_other_units()
                return
            for requests in self._shapes:
                await self._run(requests, rung)

    def close(self) -> None:
        """Stop rehearsing."""
        if self._background is not None:
            self._background.cancel()

    async def _with_other_units(self) -> None:
        self._background = asyncio.get_running_loop().create_task(self._until_answered())
        done, _ = await asyncio.wait({self._background}, timeout=self._start_limit_s)
        if not done:
            logger.warning(
                "unit %s has not answered within %.0f s: this replica starts without it, and answers /readyz with 503 "
                "until it does",
                ", ".join(self.waits_for),
                self._start_limit_s,
            )

    async def _until_answered(self) -> None:
        for requests in self._shapes:
            while not await self._went_well(requests):
                await asyncio.sleep(_RETRY_PERIOD_S)
        self.waits_for = ()

    async def _went_well(self, requests: int) -> bool:
        try:
            async with asyncio.timeout(_ATTEMPT_LIMIT_S):
                await self._run(requests, 0)
        except (ServiceError, TimeoutError):
            return False
        return True
