"""The two sides of a call from an ingress to a separate ranker unit."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import numpy as np

from models.ragged import RaggedBatch
from services.errors import ReleaseError, ReleaseMismatch, StageFailed
from services.releases.live import LiveReleases
from services.releases.release import LiveRelease
from services.scheduling.runner import Runner
from services.scheduling.work import Work
from services.wire import cut_batch, feature_columns, pack, pack_batch, unpack, unpack_batch

_MISMATCH_WAITS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)


class RankerHandle(Protocol):
    """Calls a ranker unit in this process or in another one."""

    async def __call__(self, payload: bytes, candidates: int) -> bytes:
        """Send a packed batch with this many candidates, and return the packed scores."""
        ...


class RemoteRanker:
    """The ingress side: splits a batch into calls below the byte limit, and joins the scores."""

    def __init__(self, handle: RankerHandle, clock: Callable[[], float] = time.monotonic) -> None:
        """Call through ``handle``.

        Args:
            handle: sends one call.
            clock: the clock of all deadlines, in seconds.
        """
        self._handle = handle
        self._clock = clock

    async def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Return the batch with the columns "score" and "ranker".

        Raises:
            StageFailed: the ranker returned a wrong number of scores.
        """
        parts = cut_batch(bare_batch(batch, self._clock()))
        answers = await asyncio.gather(
            *[self._call(pack_batch(part), part.candidate_count) for part in parts]
        )
        scores = np.concatenate([unpack(answer)[0]["score"] for answer in answers])
        if len(scores) != batch.candidate_count:
            raise StageFailed(
                f"ranker unit: must return {batch.candidate_count} scores, one for each candidate, got {len(scores)}; "
                f"run the same version in all units"
            )
        return batch.adding(candidates={"score": scores, "ranker": scores})

    async def _call(self, payload: bytes, candidates: int) -> bytes:
        """Call a replica, and retry while the replica has not loaded the batch's release.

        There are 7 attempts, with pauses from 10 to 400 ms. The runner cancels a call that no request waits for.
        """
        for wait_s in _MISMATCH_WAITS_S:
            try:
                return await self._handle(payload, candidates)
            except ReleaseMismatch:
                await asyncio.sleep(wait_s)
        return await self._handle(payload, candidates)


class RankerService:
    """The ranker unit's side. Its batcher merges calls from several ingresses."""

    def __init__(
        self, runner: "Runner[RaggedBatch]", live: LiveReleases, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Score batches of the ``live`` releases through ``runner``.

        Args:
            runner: batches the calls and runs the stages.
            live: this replica's releases.
            clock: the clock of the runner's deadlines, in seconds.
        """
        self._runner = runner
        self._live = live
        self._clock = clock

    async def score(self, payload: bytes) -> bytes:
        """Score one packed batch, and return the packed scores.

        Raises:
            ReleaseMismatch: this replica has not loaded the batch's release, or lacks deltas of its catalogue. In
                another release, the batch's row numbers would stand for other items.
        """
        batch = unpack_batch(payload)
        loaded = self._live.enter(batch.release)
        try:
            if batch.catalogue and not loaded.release.catalogue.has_state(batch.catalogue):
                await self._expect_state(loaded, batch.catalogue)
            return await self._score(batch)
        finally:
            self._live.leave(loaded)

    async def _expect_state(self, loaded: LiveRelease, state: str) -> None:
        """Take new deltas until the catalogue has the rows of a batch.

        Raises:
            ReleaseMismatch: the deltas are not here, or differ from those of the caller.
        """
        with suppress(ReleaseError):
            await self._live.catch_up()
        catalogue = loaded.release.catalogue
        if not catalogue.has_state(state):
            raise ReleaseMismatch(
                f"catalogue: this replica has {catalogue.label}, got a call with deltas up to {state or 'none'}; copy "
                f"the same deltas to all nodes",
                retry_after_s=1,
            )

    async def rehearse(self, batch: RaggedBatch) -> None:
        """Score a batch on the path that calls take, without counting it in the metrics.

        Raises:
            ServiceError: a stage failed.
        """
        batch = unpack_batch(pack_batch(bare_batch(batch, self._clock())))
        await self._runner.rehearse([self._work_of(batch)], 0)

    async def _score(self, batch: RaggedBatch) -> bytes:
        answer = await self._runner.submit(self._work_of(batch))
        offsets = answer.batch.offsets
        first, last = offsets[answer.first], offsets[answer.first + len(batch)]
        return pack({"score": answer.batch.candidates["score"][first:last]})

    def _work_of(self, batch: RaggedBatch) -> Work[RaggedBatch]:
        now_s = self._clock()
        remaining_s, priorities = batch.deadlines_s, batch.priorities
        return Work(
            payload=batch,
            candidate_count=batch.candidate_count,
            request_count=len(batch),
            # A call may wait until the latest deadline of its requests. Its place in the queue follows the median
            # deadline, so that no single request decides for the others.
            deadline_s=float("inf") if remaining_s is None else now_s + float(remaining_s.max()),
            urgent_s=None if remaining_s is None else now_s + float(np.median(remaining_s)),
            priority=0 if priorities is None else int(priorities.max()),
            release=batch.release,
            arrived_s=now_s,
        )


def bare_batch(batch: RaggedBatch, now_s: float) -> RaggedBatch:
    """Return the batch with only the columns that are sent to the ranker unit.

    Clocks differ between hosts, so each deadline is sent as the remaining time.
    """
    return RaggedBatch(
        offsets=batch.offsets,
        rows=batch.rows,
        requests=batch.requests,
        candidates=feature_columns(batch),
        deadlines_s=None if batch.deadlines_s is None else batch.deadlines_s - now_s,
        priorities=batch.priorities,
        release=batch.release,
        catalogue=batch.catalogue,
    )
