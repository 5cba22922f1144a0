"""A job: its requests, its rung, and the parts that leave it."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.serving_rules import MARGIN_S
from models.ragged import RaggedBatch, offsets_of
from services.errors import DeadlinePassed, Overloaded, QueueFull, StageFailed
from services.scheduling.deadlines import last_moment_s
from services.scheduling.job import Job, logger
from services.scheduling.ladder import Ladder, Part, Rung
from services.scheduling.work import Work
from tests.services.scheduling.bench import Named

FOREVER = float("inf")


def make_job(*counts: int, deadlines_s: tuple[float, ...] = (), rungs: int = 2) -> Job[int]:
    """Return a job with one work per request count. A request has one candidate, and the stage ``rungs`` rungs."""
    deadlines_s = deadlines_s or (100.0,) * len(counts)
    works = [
        Work(index, count, count, deadline_s, 0, "a", 0.0)
        for index, (count, deadline_s) in enumerate(zip(counts, deadlines_s, strict=True))
    ]
    return Job(
        works, 0.0, [Ladder("rank", [Rung(str(index), Named("rank", identity)) for index in range(rungs)])]
    )


def identity(batch: RaggedBatch) -> RaggedBatch:
    return batch


def make_batch(requests: int) -> RaggedBatch:
    return RaggedBatch(offsets=offsets_of(np.ones(requests)), rows=np.arange(requests, dtype=np.int64))


def state(job: Job[int]) -> tuple[list[int], int, str | None, bool]:
    return [work.payload for work in job.works], job.rung, job.why, job.is_probe


def test_groups_that_leave_take_exactly_their_own_requests() -> None:
    job = make_job(2, 1, 3, 1)
    job.batch = make_batch(7)
    job.timings_ms["features"] = 1.0
    parts = [job, *job.leave([[1, 3], [2]])]
    assert [[work.payload for work in part.works] for part in parts] == [[0], [1, 3], [2]]
    rows = [None if part.batch is None else part.batch.rows.tolist() for part in parts]
    assert rows == [[0, 1], [2, 6], [3, 4, 5]]
    assert [part.size for part in parts] == [2, 2, 3]
    assert [part.in_flight for part in parts] == [True, False, False]
    assert [part.is_part for part in parts] == [False, True, True]
    job.timings_ms["rank"] = 2.0
    assert all(part.timings_ms == {"features": 1.0} for part in parts[1:])


def test_group_can_leave_before_the_requests_are_merged() -> None:
    job = make_job(1, 1)
    [part] = job.leave([[0]])
    assert (job.batch, part.batch) == (None, None)
    assert [work.payload for work in job.works] == [1]


def test_added_works_are_counted() -> None:
    job = make_job(1, 2)
    job.add(make_job(4).works)
    assert (len(job.works), job.size) == (3, 7)


def test_finished_stage_resets_the_choice_of_a_rung() -> None:
    job = make_job(1, 1)
    job.ladders = [*job.ladders, *make_job(1).ladders]
    job.settle(FOREVER, 0.0)
    assert (job.rung, job.is_settled) == (0, True)
    job.done(make_batch(2), 0.25, 1.0)
    assert (job.next_stage, job.rung, job.why, job.is_settled, job.is_degraded) == (1, 0, None, False, False)
    assert job.timings_ms == {"rank": 250.0}
    assert job.ladders[0].rungs[0].latency.expected_s(2) == 0.25


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ValueError("bad weights"), "failed"),
        (QueueFull("full", retry_after_s=1), "load"),
        (DeadlinePassed("late", retry_after_s=1), "load"),
    ],
)
def test_failed_rung_is_followed_by_the_next_with_the_reason(error: Exception, why: str) -> None:
    job = make_job(1)
    job.failed(error, 0.1, 1.0)
    assert (job.rung, job.why) == (1, why)
    job.done(make_batch(1), 0.1, 2.0)
    assert job.batch is not None
    assert (job.batch.missed_by(0), job.is_degraded) == ([f"rank:1:{why}"], True)


def test_only_failures_of_another_unit_open_the_breaker() -> None:
    for error, expected in (
        (DeadlinePassed("late", retry_after_s=1), True),
        (Overloaded("full", retry_after_s=1), False),
        (ValueError("bad weights"), False),
    ):
        first = make_job(1)
        for _ in range(5):
            job = Job(first.works, 0.0, first.ladders)
            job.failed(error, 0.1, 1.0)
        assert first.ladder.rungs[0].takes_all(1, FOREVER) == expected


def test_rehearsal_records_no_times() -> None:
    job = make_job(1)
    job.rehearsed = 0
    job.done(make_batch(1), 5.0, 5.0)
    assert job.ladders[0].rungs[0].latency.expected_s(1) == 0.0
    job = make_job(1)
    job.rehearsed = 0
    for _ in range(5):
        job.rung = 0
        job.failed(ValueError("bad weights"), 0.1, 1.0)
    assert job.ladder.rungs[0].takes_all(1, FOREVER)


def test_unexpected_error_names_the_stage() -> None:
    job = make_job(1)
    cause = KeyError("b")
    failure = job.failure(cause)
    assert isinstance(failure, StageFailed)
    assert (str(failure), failure.__cause__) == ("stage merge failed: KeyError: 'b'", cause)
    job.batch = make_batch(1)
    assert str(job.failure(cause)) == "stage rank failed: KeyError: 'b'"
    refusal = QueueFull("full", retry_after_s=7)
    assert job.failure(refusal) is refusal


requests = st.tuples(st.integers(1, 3), st.sampled_from([0.01, 0.1, 0.3, 1.0, 50.0]))


@settings(max_examples=300, deadline=None)
@given(
    requests=st.lists(requests, min_size=1, max_size=6),
    times_s=st.lists(st.sampled_from([0.01, 0.2, 0.8]), min_size=1, max_size=3),
    later_s=st.lists(st.sampled_from([0.0, 0.05]), max_size=2),
    failures=st.sampled_from([0, 3]),
    share_s=st.sampled_from([0.0, 0.3, FOREVER]),
    now_s=st.sampled_from([0.1, 0.5, 3.0]),
    is_ranked=st.booleans(),
)
def test_settles_a_job_into_the_parts_that_its_ladder_chooses(
    requests: list[tuple[int, float]],
    times_s: list[float],
    later_s: list[float],
    failures: int,
    share_s: float,
    now_s: float,
    is_ranked: bool,
) -> None:
    counts, left_s = zip(*requests, strict=True)
    job = make_job(*counts, deadlines_s=tuple(now_s + each for each in left_s), rungs=len(times_s))
    size = sum(counts)
    job.batch = make_batch(size)
    if is_ranked:
        job.batch = job.batch.adding(candidates={"score": np.zeros(size)})
    for rung, taken_s in zip(job.ladder.rungs, times_s, strict=True):
        rung.done(size, taken_s, 0.0)
    for _ in range(failures):
        job.ladder.rungs[0].failed(now_s)
    for each_s in later_s:
        later = Rung("later", Named("later", identity))
        later.done(size, each_s, 0.0)
        job.ladders = [*job.ladders, Ladder("later", [later])]

    reserve_s = sum(later_s)
    own_s = share_s - now_s - reserve_s
    if is_ranked:
        own_s = max(own_s, job.ladder.cheapest_s(size, now_s))
    stage_s = [last_moment_s(work) - now_s - reserve_s - MARGIN_S for work in job.works]
    expected: list[Part] = copy.deepcopy(job.ladder).divide(counts, stage_s, own_s, now_s)

    jobs = [job, *job.settle(share_s, now_s)]
    assert [state(each) for each in jobs] == [
        (list(part.members), len(times_s) if part.rung is None else part.rung, part.why, part.is_probe)
        for part in expected
    ]
    assert all(each.is_settled for each in jobs)


def test_logs_a_failure_once_and_a_refusal_never(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    job = make_job(1)
    job.batch = make_batch(1)
    job.failed(QueueFull("full"), 0.1, 0.0)
    assert caplog.messages == []
    error = StageFailed("it returned nothing")
    job.failed(error, 0.1, 0.0)
    assert job.failure(error) is error
    assert caplog.messages == ["stage rank failed on a batch of 1 requests: it returned nothing"]
