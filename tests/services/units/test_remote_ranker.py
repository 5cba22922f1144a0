"""A separate ranker unit: both sides of a call, in one event loop, over real buffers."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings

from models.ragged import RaggedArray, RaggedBatch, offsets_of
from services.errors import DeadlinePassed, Overloaded, ReleaseMismatch, StageFailed
from services.scheduling.batcher import BatchingConfig
from services.scheduling.ladder import Ladder
from services.scheduling.runner import Runner
from services.telemetry.metrics import UnitMetrics
from services.units.remote_ranker import RankerHandle, RankerService, RemoteRanker
from services.wire import MAX_CALL_BYTES, pack, unpack
from tests.services.batches import full_batches
from tests.services.releasing import live_of

RELEASE = "r1"


class Scoring:
    """A stage whose score is the sum of the row, the request's bias and the request's history (modulo 97)."""

    name = "ranker"

    def __init__(self) -> None:
        self.batches: list[RaggedBatch] = []
        self.failing = False

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        self.batches.append(batch)
        if self.failing:
            raise ValueError("bad weights")
        return batch.adding(candidates={"score": scores_of(batch)})


def scores_of(batch: RaggedBatch) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    bias, history = batch.requests["user.bias"], batch.requests["user.history"]
    assert isinstance(bias, np.ndarray)
    assert isinstance(history, RaggedArray)
    own = np.array([float(bias[i]) + float(history[i].sum() % 97) for i in range(len(batch))])
    scores: np.ndarray[tuple[int], np.dtype[np.float64]] = batch.rows + own[batch.request_of()]
    return scores


def small_batch(
    bias: float, sizes: Sequence[int], remaining_s: float | None = None, now_s: float = 0.0
) -> RaggedBatch:
    count = len(sizes)
    return RaggedBatch(
        offsets=offsets_of(np.array(sizes)),
        rows=np.arange(sum(sizes), dtype=np.int64),
        requests={
            "user.bias": np.full(count, bias, dtype=np.float32),
            "user.history": RaggedArray(np.arange(2 * count), offsets_of(np.full(count, 2))),
        },
        deadlines_s=None if remaining_s is None else np.full(count, now_s + remaining_s),
        priorities=np.zeros(count, dtype=np.int32),
        release=RELEASE,
    )


class Unit:
    """A ranker unit that records each call's size."""

    def __init__(self) -> None:
        self.stage = Scoring()
        self.metrics = UnitMetrics("ranker", "test")
        self.runner: Runner[RaggedBatch] = Runner(
            merge=lambda batches, _release: RaggedBatch.concatenate(batches),
            ladders_of=lambda _release: [Ladder.from_stage(self.stage)],
            batching=BatchingConfig(max_candidates=1_000_000, max_waiting_candidates=10_000_000),
            max_in_flight=1,
            metrics=self.metrics,
        )
        self.service = RankerService(self.runner, live_of(RELEASE))
        self.call_bytes: list[int] = []

    async def score(self, payload: bytes, candidates: int) -> bytes:
        assert candidates > 0
        self.call_bytes.append(len(payload))
        return await self.service.score(payload)


def calling(service: RankerService) -> RankerHandle:
    """Return a call to the service with a router's signature."""

    async def call(payload: bytes, candidates: int) -> bytes:
        return await service.score(payload)

    return call


@settings(max_examples=40, deadline=None)
@given(full_batches())
def test_remote_scores_equal_the_scores_of_a_local_ranker(batch: RaggedBatch) -> None:
    async def scenario() -> None:
        unit = Unit()
        ranked = await RemoteRanker(unit.score, clock=lambda: -1e9)(
            RaggedBatch(
                batch.offsets, batch.rows, batch.requests, release=RELEASE, user_keys=[b"u"] * len(batch)
            )
        )
        np.testing.assert_array_equal(ranked.candidates["score"], scores_of(batch))
        np.testing.assert_array_equal(ranked.candidates["ranker"], ranked.candidates["score"])
        assert ranked.user_keys == [b"u"] * len(batch)
        unit.runner.close()

    asyncio.run(scenario())


def test_splits_a_batch_over_four_mebibytes_into_smaller_calls() -> None:
    async def scenario() -> None:
        unit = Unit()
        batch = small_batch(5.0, [1_200_000, 10, 900_000])
        ranked = await RemoteRanker(unit.score)(batch)
        np.testing.assert_array_equal(ranked.candidates["score"], scores_of(batch))
        assert len(unit.call_bytes) > 2
        assert max(unit.call_bytes) < MAX_CALL_BYTES
        unit.runner.close()

    asyncio.run(scenario())


def test_merges_calls_of_many_ingresses_and_returns_each_its_own_scores() -> None:
    async def scenario() -> None:
        unit = Unit()
        ingresses = [RemoteRanker(unit.score) for _ in range(8)]
        batches = [small_batch(1000.0 * i, [3, 1 + i]) for i in range(len(ingresses))]
        ranked = await asyncio.gather(
            *[remote(batch) for remote, batch in zip(ingresses, batches, strict=True)]
        )
        for answer, batch in zip(ranked, batches, strict=True):
            np.testing.assert_array_equal(answer.candidates["score"], scores_of(batch))
        assert len(unit.stage.batches) < len(batches)
        unit.runner.close()

    asyncio.run(scenario())


def test_sends_deadlines_as_remaining_time_because_clocks_differ() -> None:
    async def scenario() -> None:
        unit = Unit()
        remote = RemoteRanker(unit.score, clock=lambda: 1e6)
        await remote(small_batch(0.0, [2], remaining_s=30.0, now_s=1e6))
        with pytest.raises(DeadlinePassed):
            await remote(small_batch(0.0, [2], remaining_s=-1.0, now_s=1e6))
        unit.runner.close()

    asyncio.run(scenario())


def test_one_late_deadline_does_not_move_a_call_to_the_end_of_the_queue() -> None:
    async def scenario() -> None:
        unit = Unit()
        batch = small_batch(0.0, [2, 2, 2], remaining_s=1.0, now_s=0.0)
        assert batch.deadlines_s is not None
        batch.deadlines_s[1] = 60.0
        work = unit.service._work_of(batch)
        assert work.deadline_s - work.arrived_s == 60.0
        assert work.due_s - work.arrived_s == 1.0
        unit.runner.close()

    asyncio.run(scenario())


def test_refuses_a_call_for_a_release_that_is_not_loaded() -> None:
    async def scenario() -> None:
        unit = Unit()
        other = RankerService(unit.runner, live_of("r2"))
        with pytest.raises(
            ReleaseMismatch, match="release: this replica has loaded r2, got r1; send the request again"
        ):
            await RemoteRanker(calling(other))(small_batch(0.0, [2]))
        unit.runner.close()
        with pytest.raises(Overloaded):
            await RemoteRanker(unit.score)(small_batch(0.0, [2]))

    asyncio.run(scenario())


def test_retries_a_call_that_reached_a_replica_with_another_release() -> None:
    async def scenario() -> None:
        unit = Unit()
        other = RankerService(unit.runner, live_of("r2"))
        replicas = iter([other.score, other.score, unit.service.score])
        batch = small_batch(7.0, [2, 3])

        async def routed(payload: bytes, candidates: int) -> bytes:
            return await next(replicas)(payload)

        ranked = await RemoteRanker(routed)(batch)
        np.testing.assert_array_equal(ranked.candidates["score"], scores_of(batch))
        unit.runner.close()

    asyncio.run(scenario())


def test_a_stage_that_fails_in_the_ranker_unit_fails_the_call() -> None:
    async def scenario() -> None:
        unit = Unit()
        unit.stage.failing = True
        with pytest.raises(StageFailed, match="stage ranker failed: ValueError: bad weights"):
            await RemoteRanker(unit.score)(small_batch(0.0, [2]))
        unit.runner.close()

    asyncio.run(scenario())


def test_refuses_a_wrong_number_of_scores() -> None:
    async def short(payload: bytes, candidates: int) -> bytes:
        assert unpack(payload)
        return pack({"score": np.zeros(1, dtype=np.float32)})

    async def garbage(payload: bytes, candidates: int) -> bytes:
        return b"no buffer"

    async def scenario() -> None:
        with pytest.raises(StageFailed, match="must return 2 scores, one for each candidate, got 1;"):
            await RemoteRanker(short)(small_batch(0.0, [2]))
        with pytest.raises(StageFailed, match="cannot be read"):
            await RemoteRanker(garbage)(small_batch(0.0, [2]))

    asyncio.run(scenario())
