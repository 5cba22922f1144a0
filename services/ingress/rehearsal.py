"""The rehearsal: before a replica is ready, every batch shape runs on the path that requests take.

Warm-up runs only the stages of this replica. A rehearsal also covers the runner's threads and queues, and the calls to
other units. Its batches are not counted, and no expected times are learned.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from services.errors import ServiceError

_FIRST_RETRY_S, _LAST_RETRY_S = 0.1, 2.0
_START_LIMIT_S = 120.0
"""After this time, a replica starts without the other units. A lower rung's answer is better than none."""
logger = logging.getLogger("ray.serve")


class Rehearsal:
    """The rehearsal of one replica.

    Attributes:
        waits_for: the other units until they have answered every shape, then empty.
    """

    def __init__(
        self,
        run: Callable[[int, int], Awaitable[None]],
        *,
        shapes: Sequence[int],
        rungs: int,
        other_units: Sequence[str] = (),
        start_limit_s: float = _START_LIMIT_S,
    ) -> None:
        """Prepare the rehearsal.

        Args:
            run: runs one batch. Its arguments are the request count and the rung index.
            shapes: the request counts of the batches to run.
            rungs: the length of the longest ladder.
            other_units: the units that the first rungs call.
            start_limit_s: seconds to wait for the other units before the replica starts without them.
        """
        self._run, self._shapes, self._rungs = run, shapes, rungs
        self.start_limit_s = start_limit_s
        self._background: asyncio.Task[None] | None = None
        self._fault = ""
        self.waits_for = tuple(other_units)

    async def start(self) -> None:
        """Rehearse, and return as soon as the replica may start.

        If the first rung calls other units, each of its batches is repeated until it succeeds. After the start limit,
        this continues in the background.

        Raises:
            ServiceError: a stage failed on a rung that calls no other unit.
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
        done, _ = await asyncio.wait({self._background}, timeout=self.start_limit_s)
        if done:
            self._background.result()
            return
        logger.warning(
            "unit %s: no answer within %.0f s (%s); this replica starts without it, and answers /readyz with 503 until "
            "the unit answers",
            ", ".join(self.waits_for),
            self.start_limit_s,
            self._fault or "no answer yet",
        )

    async def _until_answered(self) -> None:
        """Run every shape with the other units. Repeat each shape until it succeeds."""
        for requests in self._shapes:
            wait_s = _FIRST_RETRY_S
            while not await self._went_well(requests):
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LAST_RETRY_S)
        self.waits_for = ()

    async def _went_well(self, requests: int) -> bool:
        try:
            await self._run(requests, 0)
        except ServiceError as error:
            if str(error) != self._fault:
                logger.info("rehearsing with unit %s: %s", ", ".join(self.waits_for), error)
            self._fault = str(error)
            return False
        return True
