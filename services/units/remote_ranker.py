"""The ranker as a unit of its own: calls of merged requests, and the scores that come back."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from models.ragged import RaggedBatch
from services.errors import ReleaseMismatch, StageFailed
from services.releases.live import LiveReleases
from services.scheduling.runner import Runner
from services.scheduling.work import Work
from services.wire import cut_batch, feature_columns, pack, pack_batch, unpack, unpack_batch

_MISMATCH_WAITS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)


class RankerHandle(Protocol):
    """How a ranker unit is called, wherever it runs."""

    async def __call__(self, payload: bytes, candidates: int) -> bytes:
        """Send a packed batch of so many candidates, give packed scores."""
        ...


class RemoteRanker:
    """The ingress's side: packs a batch, cuts it below the byte limit, joins the scores."""

    def __init__(self, handle: RankerHandle, clock: Callable[[], float] = time.monotonic) -> None:
        """Call through ``handle``; ``clock`` is the one deadlines are on."""
        self._handle = handle
        self._clock = clock

    async def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Give the batch with the columns "score" and "ranker".

        Raises:
            StageFailed: the ranker answered another number of scores than it was asked for.
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
        """Call again while the replica that was reached holds another release; the runner ends it at the deadline."""
        for wait_s in _MISMATCH_WAITS_S:
            try:
                return await self._handle(payload, candidates)
            except ReleaseMismatch:
                await asyncio.sleep(wait_s)
        return await self._handle(payload, candidates)


class RankerService:
    """The ranker unit's side: calls of several ingresses are merged again by the same batcher."""

    def __init__(
        self, runner: "Runner[RaggedBatch]", live: LiveReleases, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Score batches of the ``live`` releases through ``runner``; ``clock`` is the one its deadlines are on."""
        self._runner = runner
        self._live = live
        self._clock = clock

    async def score(self, payload: bytes) -> bytes:
        """Score one packed batch.

        Raises:
            ReleaseMismatch: it is of another release; its row numbers would mean other items here.
        """
        batch = unpack_batch(payload)
        loaded = self._live.enter(batch.release)
        try:
            return await self._score(batch)
        finally:
            self._live.leave(loaded)

    async def rehearse(self, batch: RaggedBatch) -> None:
        """Score a batch on the path of a call, uncounted.

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
        left_s, priorities = batch.deadlines_s, batch.priorities
        return Work(
            payload=batch,
            candidate_count=batch.candidate_count,
            request_count=len(batch),
            # A call waits as long as any of its requests still can. It is queued as most of them would be, so that
            # no single deadline decides for the others.
            deadline_s=float("inf") if left_s is None else now_s + float(left_s.max()),
            urgent_s=None if left_s is None else now_s + float(np.median(left_s)),
            priority=0 if priorities is None else int(priorities.max()),
            release=batch.release,
            arrived_s=now_s,
        )


def bare_batch(batch: RaggedBatch, now_s: float) -> RaggedBatch:
    """Return the columns that travel. Clocks of two hosts have nothing in common: deadlines become the time left."""
    return RaggedBatch(
        offsets=batch.offsets,
        rows=batch.rows,
        requests=batch.requests,
        candidates=feature_columns(batch),
        deadlines_s=None if batch.deadlines_s is None else batch.deadlines_s - now_s,
        priorities=batch.priorities,
        release=batch.release,
    )
