"""The time that a queue leaves to a request and to a batch."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import StageFailed
from services.scheduling.admission import Admission
from services.scheduling.batcher import Batcher, BatchingConfig
from services.scheduling.work import Work
from tests.services.scheduling.bench import BUDGET as FULL
from tests.services.scheduling.bench import (
    Bench,
    Doubling,
    entered_event,
    in_loop,
    running,
)

BUDGET = 10


def make_admission(
    waiting: int, *, promises: bool = True, priority: int = 0, batcher: Batcher[str] | None = None
) -> Admission:
    """Return the admission for ``waiting`` full batches with the deadline 10 s. A batch takes a second."""
    if batcher is None:
        batcher = Batcher(BatchingConfig(max_candidates=BUDGET))
    for _ in range(waiting):
        batcher.offer(Work("w", BUDGET, 1, 10.0, priority, "a", 0.0))
    admission = Admission(batcher, max_candidates=BUDGET, max_in_flight=1, promises=promises, horizon_s=10.0)
    admission.seconds_per_batch = 1.0
    return admission


@pytest.mark.parametrize(
    ("waiting", "promises", "priority", "refused"),
    [
        (7, True, 0, False),
        (8, True, 0, True),
        (10, False, 0, False),
        (11, False, 0, True),
        (99, True, 1, False),
    ],
)
def test_refuses_request_that_would_wait_past_its_deadline(
    waiting: int, promises: bool, priority: int, refused: bool
) -> None:
    assert (make_admission(waiting, promises=promises).refusal(priority, 10.0, 0.0) is not None) == refused


def test_refuses_late_request_even_if_the_queue_is_empty() -> None:
    assert make_admission(0).refusal(0, 1.0, 2.0) is not None


def test_share_divides_half_the_horizon_among_work_of_equal_or_higher_priority() -> None:
    assert make_admission(4).share_s(0, 0.0) == pytest.approx(1.0)
    assert make_admission(4).share_s(1, 0.0) == float("inf")
    assert make_admission(0).share_s(0, 0.0) == float("inf")


# Deadlines are distinguished to 20 ms.
_DEADLINES = st.floats(0.001, 9.97) | st.floats(10.03, 60.0)


@given(st.lists(st.tuples(_DEADLINES, st.integers(1, 30)), max_size=40))
def test_deadline_beyond_the_horizon_changes_neither_admission_nor_quality(
    waiting: list[tuple[float, int]],
) -> None:
    queues = []
    for most_s in (10.0, 60.0):
        batcher: Batcher[str] = Batcher(BatchingConfig(max_candidates=BUDGET, max_waiting_candidates=10**6))
        for deadline_s, size in waiting:
            if deadline_s <= most_s:
                batcher.offer(Work("w", size, 1, deadline_s, 0, "a", 0.0))
        admission = Admission(batcher, max_candidates=BUDGET, max_in_flight=1, promises=True, horizon_s=10.0)
        admission.seconds_per_batch = 1.0
        queues.append(admission)
    without, with_long = queues
    assert with_long.share_s(0, 0.0) == without.share_s(0, 0.0)
    for deadline_s in (0.5, 2.0, 9.95):
        assert (with_long.refusal(0, deadline_s, 0.0) is None) == (
            without.refusal(0, deadline_s, 0.0) is None
        )


def test_model_threads_divide_the_waiting_batches_among_themselves() -> None:
    shares = []
    for threads in (1, 2, 4):
        batcher: Batcher[str] = Batcher(BatchingConfig(max_candidates=BUDGET))
        for _ in range(4):
            batcher.offer(Work("w", BUDGET, 1, 10.0, 0, "a", 0.0))
        admission = Admission(
            batcher,
            max_candidates=BUDGET,
            max_in_flight=threads,
            promises=True,
            threads=threads,
            horizon_s=10.0,
        )
        shares.append(admission.share_s(0, 0.0))
    assert shares == pytest.approx([5.0 / 5, 5.0 / 3, 5.0 / 2])


@given(st.lists(st.floats(0.001, 0.1), min_size=1, max_size=10))
def test_waiting_short_deadlines_do_not_lower_the_quality_of_others(short_s: list[float]) -> None:
    batcher: Batcher[str] = Batcher(BatchingConfig(max_candidates=BUDGET))
    for deadline_s in short_s:
        batcher.offer(Work("w", 1, 1, deadline_s, 0, "a", 0.0))
    admission = Admission(batcher, max_candidates=BUDGET, max_in_flight=1, promises=True, horizon_s=10.0)
    assert admission.share_s(0, 0.0) >= 0.5 * 10.0 / 2


def test_quality_is_lowest_for_every_priority_while_requests_are_refused() -> None:
    admission = make_admission(8)
    assert admission.share_s(1, 0.0) == float("inf")
    assert admission.refusal(0, 10.0, 0.0) is not None
    assert admission.share_s(1, 0.05) == admission.share_s(0, 0.05) == 0.0
    assert admission.share_s(1, 0.2) == float("inf")
    assert admission.share_s(0, 0.2) > 0.0


def test_refusals_of_low_priority_do_not_lower_the_quality_of_others() -> None:
    admission = make_admission(8, priority=-10)
    assert admission.refusal(-10, 10.0, 0.0) is not None
    assert admission.share_s(0, 0.0) == float("inf")


def test_batch_time_counts_up_to_the_horizon() -> None:
    admission = make_admission(0)
    for _ in range(100):
        admission.learn(60.0, BUDGET)
    assert admission.seconds_per_batch == pytest.approx(10.0, rel=0.01)


def test_refusals_of_short_deadlines_do_not_lower_the_quality_of_others() -> None:
    batcher: Batcher[str] = Batcher(BatchingConfig(max_candidates=BUDGET))
    admission = make_admission(8, batcher=batcher)
    batcher.offer(Work("w", BUDGET, 1, 0.001, 1, "a", 0.0))
    assert admission.refusal(0, 0.01, 0.0) is not None
    assert admission.share_s(0, 0.0) > 0.0


def test_cancelled_long_deadline_leaves_nothing_behind() -> None:
    batcher: Batcher[str] = Batcher(BatchingConfig(max_candidates=BUDGET))
    admission = make_admission(8, batcher=batcher)
    long = Work("w", 1, 1, 60.0, 0, "a", 0.0)
    batcher.offer(long)
    batcher.cancel(long)
    assert admission.refusal(0, 10.0, 0.0) is not None
    assert admission.refusal(0, 60.0, 0.0) is None


@pytest.mark.parametrize("promises", [True, False])
def test_stall_of_the_process_does_not_refuse_requests_that_have_time(promises: bool) -> None:
    admission = make_admission(4, promises=promises)
    admission.learn(60.0, BUDGET)
    assert admission.refusal(0, 10.0, 0.0) is None


def test_learns_a_lasting_change_of_any_size() -> None:
    admission = make_admission(0)
    for _ in range(60):
        admission.learn(9.0, BUDGET)
    assert admission.seconds_per_batch == pytest.approx(9.0, rel=0.05)


@given(st.lists(st.floats(0.001, 10.0), min_size=1, max_size=50), st.integers(1, 80), st.booleans())
def test_learned_time_lies_between_the_extremes_of_a_full_batch(
    times_s: list[float], candidates: int, promises: bool
) -> None:
    admission = make_admission(0, promises=promises)
    batches = max(1.0, candidates / BUDGET)
    for elapsed_s in times_s:
        admission.learn(elapsed_s, candidates)
    low, high = min(*times_s, batches) / batches, max(*times_s, batches) / batches
    assert low * (1 - 1e-9) <= admission.seconds_per_batch <= high * (1 + 1e-9)


def test_one_slow_batch_does_not_refuse_all_later_requests() -> None:
    async def scenario() -> None:
        stage = Doubling()
        with running(Bench(stages=[stage])) as bench:
            slow = Doubling(entered=lambda: setattr(bench, "now_s", bench.now_s + 3600))
            bench.stages = [slow]
            await bench.runner.submit(bench.work(1))
            bench.stages = [stage]
            for _ in range(20):
                await bench.runner.submit(bench.work(1, deadline_s=bench.now_s + 0.5))

    in_loop(scenario)


def test_serves_a_burst_after_one_slow_batch() -> None:
    async def scenario() -> None:
        gate = threading.Semaphore(0)
        stage = Doubling(gate=gate)
        with running(Bench(stages=[stage])) as bench:
            entered = entered_event(stage)
            slow = bench.submit(bench.work(FULL))
            await entered.wait()
            bench.now_s = 3.0
            gate.release()
            await slow
            entered.clear()
            failing = bench.submit(bench.work(FULL))  # occupies the thread, which learns nothing from it
            await entered.wait()
            burst = [bench.submit(bench.work(1, deadline_s=4.0)) for _ in range(3)]
            await asyncio.sleep(0)
            stage.failures.append(ValueError("bad weights"))
            gate.release()
            with pytest.raises(StageFailed):
                await failing
            gate.release()
            await asyncio.gather(*burst)

    in_loop(scenario)
