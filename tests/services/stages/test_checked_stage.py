import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from models.ragged import RaggedArray, RaggedBatch
from services.errors import StageFailed
from services.stages.checked_stage import CheckedStage, SkippedStage


def batch() -> RaggedBatch:
    return RaggedBatch(
        offsets=np.array([0, 2, 5]),
        rows=np.array([4, 3, 2, 1, 0]),
        requests={"user.bias": np.zeros(2, dtype=np.float32)},
        candidates={"score": np.arange(5, dtype=np.float32)},
        deadlines_s=np.array([1.0, 2.0]),
        k=np.array([1, 2]),
        release="r",
        user_keys=[b"a", b"b"],
        missed={"features": np.array([True, False])},
    )


def run(
    stage: Callable[[RaggedBatch], Any], given_batch: RaggedBatch, *, is_ranked: bool = True
) -> RaggedBatch:
    return CheckedStage("mine", stage, item_count=5, is_ranked=is_ranked)(given_batch)


def test_stage_may_add_columns_and_drop_candidates() -> None:
    def stage(incoming: RaggedBatch) -> RaggedBatch:
        added = incoming.adding(candidates={"age": np.ones(5)}, requests={"mood": np.ones(2)})
        return added.keep(np.array([1, 4]), np.array([0, 1, 2]))

    result = run(stage, batch())
    assert (result.rows.tolist(), result.candidates["age"].tolist()) == ([3, 0], [1.0, 1.0])


def test_stage_cannot_change_the_requests() -> None:
    before = batch()
    result = run(
        lambda _: RaggedBatch(before.offsets, before.rows, before.requests, before.candidates),
        before,
    )
    assert result == replace(before, missed=result.missed)
    assert result.missed_by(0) == ["features"]
    noted = run(lambda batch: batch.missing("mine", [1]), before)
    assert (noted.missed_by(0), noted.missed_by(1)) == (["features"], ["mine"])


WRONG: dict[str, tuple[Callable[[RaggedBatch], Any], str]] = {
    "nothing": (lambda _: None, "no RaggedBatch, got NoneType; return a RaggedBatch"),
    "one request": (
        lambda batch: batch.take(np.array([0])),
        "another number of requests, got 1; return all 2",
    ),
    "float rows": (
        lambda batch: replace(batch, rows=batch.rows.astype(np.float64)),
        "rows or offsets of the wrong type",
    ),
    "offsets": (
        lambda batch: replace(batch, offsets=np.array([0, 6, 5])),
        "offsets that do not fit the 5",
    ),
    "other rows": (
        lambda batch: replace(batch, rows=batch.rows + 1),
        "rows that are not in the catalogue",
    ),
    "short column": (
        lambda batch: batch.adding(candidates={"x": np.ones(4)}),
        "a column x of the wrong length",
    ),
    "short request": (
        lambda batch: batch.adding(requests={"x": np.ones(1)}),
        "a column x of the wrong length",
    ),
    "no column": (lambda batch: replace(batch, candidates={}), "fewer columns than it was given"),
    "no number": (
        lambda batch: batch.adding(candidates={"score": np.full(5, np.nan)}),
        r"scores that are not finite floats \(N,\), got float64",
    ),
    "whole scores": (
        lambda batch: batch.adding(candidates={"score": np.ones(5, dtype=int)}),
        r"scores that are not finite floats \(N,\), got int64",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_rejects_result_that_does_not_belong_to_the_batch(case: str) -> None:
    stage, fault = WRONG[case]
    with pytest.raises(StageFailed, match=f"stage mine returned {fault}"):
        run(stage, batch())


def test_rejects_scores_before_the_ranker() -> None:
    before = replace(batch(), candidates={})
    with pytest.raises(StageFailed, match="scores before the ranker; rename the column"):
        run(lambda batch: batch.adding(candidates={"score": np.ones(5)}), before, is_ranked=False)


def test_accepts_batch_without_candidates() -> None:
    before = batch().keep(np.zeros(0, dtype=np.int64), np.zeros(3, dtype=np.int64))
    assert len(run(lambda batch: batch, before).rows) == 0


def test_skipped_stage_changes_nothing() -> None:
    before = batch()
    assert SkippedStage()(before) is before


WRITES: dict[str, Callable[[RaggedBatch], Any]] = {
    "offsets": lambda given: np.copyto(given.offsets, 0),
    "rows": lambda given: np.copyto(given.rows, 0),
    "a request's column": lambda given: np.copyto(np.asarray(given.requests["user.bias"]), 7),
    "a candidate's column": lambda given: np.copyto(given.candidates["score"], 7),
}


@pytest.mark.parametrize("part", WRITES)
def test_stage_cannot_write_to_the_arrays_of_its_batch(part: str) -> None:
    given = batch()
    with pytest.raises(ValueError, match="read-only"):
        run(WRITES[part], given)
    assert given.offsets.tolist() == [0, 2, 5]


def test_unchanged_arrays_are_writable_again_after_the_stage() -> None:
    history = RaggedArray(np.arange(3), np.array([0, 1, 3]))
    given = replace(batch(), requests={"user.history": history})
    result = run(lambda lent: lent.adding(candidates={"age": np.ones(5)}), given)
    assert result.requests["user.history"] is history
    assert result.offsets is given.offsets
    assert result.candidates["score"].flags.writeable


@pytest.mark.parametrize("waits", [False, True], ids=["on model threads", "on I/O threads"])
def test_only_calls_of_a_stage_that_waits_overlap(waits: bool) -> None:
    inside = threading.Lock()
    meeting = threading.Barrier(2, timeout=20)

    def stage(batch: RaggedBatch) -> RaggedBatch:
        if waits:
            meeting.wait()  # passes only if two calls overlap
            return batch
        assert inside.acquire(blocking=False), "two calls at once"
        try:
            return batch.adding(candidates={"more": np.zeros(batch.candidate_count)})
        finally:
            inside.release()

    checked = CheckedStage("mine", stage, item_count=100, is_ranked=False, waits=waits)
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(lambda _: checked(batch()), range(40)))) == 40
