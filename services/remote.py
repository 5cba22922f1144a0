"""The ranker as a unit of its own: calls of merged requests, and the scores that come back."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from models.ragged import RaggedBatch
from services.batching import Work
from services.errors import StageFailed
from services.runner import Runner
from services.wire import cut_batch, pack, pack_batch, unpack, unpack_batch


class RankerHandle(Protocol):
    """The one method of a ranker unit's Serve handle that is called."""

    async def __call__(self, payload: bytes) -> bytes:
        """Send a packed batch, give packed scores."""
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
        bare = RaggedBatch(
            offsets=batch.offsets,
            rows=batch.rows,
            requests=batch.requests,
            # Clocks of two hosts have nothing in common: what travels is the time left.
            deadlines_s=None if batch.deadlines_s is None else batch.deadlines_s - self._clock(),
            priorities=batch.priorities,
            release=batch.release,
        )
        answers = await asyncio.gather(*[self._handle(pack_batch(part)) for part in cut_batch(bare)])
        scores = np.concatenate([unpack(answer)[0]["score"] for answer in answers])
        if len(scores) != batch.candidate_count:
            raise StageFailed(
                f"the ranker unit gave {len(scores)} scores for {batch.candidate_count} candidates: "
                f"run one version in all units"
            )
        return batch.adding(candidates={"score": scores, "ranker": scores})


class RankerService:
    """The ranker unit's side: calls of several ingresses are merged again by the same batcher."""

    def __init__(
        self, runner: "Runner[RaggedBatch]", release: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Score batches of ``release`` through ``runner``; ``clock`` is the one its deadlines are on."""
        self._runner = runner
        self._release = release
        self._clock = clock

    async def score(self, payload: bytes) -> bytes:
        """Score one packed batch.

        Raises:
            StageFailed: it is of another release; its row numbers would mean other items here.
        """
        batch = unpack_batch(payload)
        if batch.release != self._release:
            raise StageFailed(
                f"the ranker unit holds release {self._release}, the call is of {batch.release}: deploy both units "
                f"from one configuration"
            )
        now_s = self._clock()
        left_s, priorities = batch.deadlines_s, batch.priorities
        work = Work(
            payload=batch,
            candidate_count=batch.candidate_count,
            request_count=len(batch),
            # A call waits as long as any of its requests still can.
            deadline_s=float("inf") if left_s is None else now_s + float(left_s.max()),
            priority=0 if priorities is None else int(priorities.max()),
            release=batch.release,
            arrived_s=now_s,
        )
        answer = await self._runner.submit(work)
        offsets = answer.batch.offsets
        first, last = offsets[answer.first], offsets[answer.first + len(batch)]
        return pack({"score": answer.batch.candidates["score"][first:last]})
