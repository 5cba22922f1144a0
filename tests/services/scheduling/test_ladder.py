"""The rung that each request in a batch takes."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ragged import RaggedBatch
from services.scheduling.ladder import PROBE_AFTER_S, Ladder, Part, Rung
from services.stages.base import Why

INF = float("inf")


class Idle:
    """A stage that adds nothing."""

    name = "idle"

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        return batch


def ladder(*times_s: float, at_s: float = 0.0) -> Ladder:
    """Return a ladder whose rungs have taken these times at ``at_s``."""
    rungs = [Rung(str(index), Idle()) for index in range(len(times_s))]
    for rung, elapsed_s in zip(rungs, times_s, strict=True):
        rung.done(100, elapsed_s, at_s)
    return Ladder("ranker", rungs)


def choose(
    steps: Ladder, left_s: float, share_s: float, now_s: float = 0.0, first: int = 0
) -> tuple[int | None, Why | None]:
    """Return the rung for a batch of one request, and the reason if a better rung was skipped."""
    [part] = steps.divide([100], [left_s], share_s, now_s, first=first)
    assert part.members == (0,)
    return part.rung, part.why


@pytest.mark.parametrize(
    ("left_s", "share_s", "choice"),
    [
        (INF, INF, (0, None)),
        (0.05, INF, (1, "late")),
        (INF, 0.05, (1, "load")),
        (0.05, 0.02, (1, "load")),
        (0.001, INF, (None, "late")),
        (INF, 0.001, (None, "load")),
    ],
)
def test_chooses_the_best_rung_in_time_with_the_reason(
    left_s: float, share_s: float, choice: tuple[int | None, Why | None]
) -> None:
    assert choose(ladder(0.1, 0.01), left_s, share_s) == choice


def test_failing_rung_is_skipped_then_tried_by_one_batch_then_used_again() -> None:
    steps = ladder(0.1, 0.01, at_s=1.0)
    for _ in range(3):
        assert choose(steps, INF, INF, 1.0) == (0, None)
        steps.rungs[0].failed(1.0)
    assert choose(steps, INF, INF, 1.1) == (1, "failed")
    assert steps.cheapest_s(100, 1.1) == 0.01
    assert choose(steps, INF, INF, 1.6) == (0, None)
    assert choose(steps, INF, INF, 1.6) == (1, "failed")  # its probe is running
    steps.rungs[0].done(100, 0.1, 1.7)
    assert choose(steps, INF, INF, 1.7) == (0, None)


def test_batch_does_not_return_to_a_better_rung() -> None:
    assert choose(ladder(0.1, 0.01), INF, INF, first=1) == (1, None)
    assert ladder(0.1, 0.01).divide([100], [INF], INF, 0.0, first=2) == [Part(None, (0,), None)]


def test_reserves_the_time_of_the_cheapest_working_rungs_of_later_stages() -> None:
    steps = ladder(5.0, 0.01, 0.2)
    assert steps.cheapest_s(100, 0.0) == 0.01
    for _ in range(3):
        steps.rungs[1].failed(0.0)
    assert steps.cheapest_s(100, 0.1) == 0.2


def test_short_deadline_does_not_lower_the_rung_of_others() -> None:
    assert ladder(0.1, 0.01).divide([50] * 4, [1.0, 0.002, 1.0, 0.05], INF, 0.0) == [
        Part(0, (0, 2), None),
        Part(1, (3,), "late"),
        Part(None, (1,), "late"),
    ]


@given(
    st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(1, 300), st.floats(-0.1, 2.0)), min_size=1, max_size=8),
    st.floats(0, 2.0),
)
def test_each_request_takes_the_best_rung_that_it_can_afford(
    times_s: list[float], requests: list[tuple[int, float]], share_s: float
) -> None:
    sizes, left_s = [size for size, _ in requests], [each for _, each in requests]
    steps = ladder(*times_s)
    parts = steps.divide(sizes, left_s, share_s, 0.0)
    assert sorted(itertools.chain.from_iterable(part.members for part in parts)) == list(range(len(requests)))
    for part in parts:
        size = sum(sizes[member] for member in part.members)
        if part.rung is not None:
            expected_s = steps.rungs[part.rung].latency.expected_s(size)
            assert all(expected_s <= left_s[member] for member in part.members)
        assert (part.why is None) == (part.rung == 0)
    # No request could have joined a better rung. It would have been late there, or would have made waiting ones late.
    for index, rung in enumerate(steps.rungs):
        below = [part for part in parts if part.rung is None or part.rung > index]
        if not below:
            continue
        reached = sum(sizes[member] for part in below for member in part.members)
        rung_size = sum(sizes[member] for part in parts if part.rung == index for member in part.members)
        overloads = rung.latency.expected_s(reached + rung_size) > share_s
        patient = max(
            (member for part in below for member in part.members), key=lambda member: left_s[member]
        )
        assert overloads or rung.latency.expected_s(rung_size + sizes[patient]) > left_s[patient]


def run(steps: Ladder, times_s: list[float], left_s: float, now_s: float) -> tuple[int | None, float]:
    """Run one batch on the chosen rung. Return the rung and the end time."""
    [part] = steps.divide([100], [left_s], INF, now_s)
    if part.rung is None:
        return None, now_s
    now_s += times_s[part.rung]
    steps.rungs[part.rung].done(100, times_s[part.rung], now_s, is_probe=part.is_probe)
    return part.rung, now_s


@settings(max_examples=60)
@given(
    usual_s=st.lists(st.floats(1e-4, 0.1), min_size=1, max_size=3),
    slow_s=st.floats(1.0, 60.0),
    known=st.integers(0, 3),
    period_s=st.floats(0.01, 0.5),
)
def test_best_rung_returns_within_two_seconds_after_one_slow_batch(
    usual_s: list[float], slow_s: float, known: int, period_s: float
) -> None:
    steps, now_s = Ladder("ranker", [Rung(str(index), Idle()) for index in range(len(usual_s))]), 0.0
    for _ in range(known):
        now_s = run(steps, usual_s, INF, now_s)[1]
    steps.rungs[0].done(100, slow_s, now_s)
    slow_at_s = now_s
    for _ in range(int(5 / period_s)):
        rung, done_s = run(steps, usual_s, 0.2, now_s)
        if now_s - slow_at_s > 2.0:
            assert rung == 0
        now_s = max(done_s, now_s + period_s)


@settings(max_examples=50)
@given(
    bursts=st.lists(st.lists(st.floats(0.5, 5.0), min_size=1, max_size=20), min_size=1, max_size=4),
    period_s=st.floats(0.005, 0.1),
)
def test_recovery_is_bounded_after_any_number_of_slow_batches(
    bursts: list[list[float]], period_s: float
) -> None:
    steps, now_s = ladder(0.01, 0.001), 0.0
    for burst in bursts:
        for slow_s in burst:
            steps.rungs[0].done(100, slow_s, now_s)
        slow_at_s, back = now_s, False
        while not back:
            rung, done_s = run(steps, [0.01, 0.001], 0.2, now_s)
            now_s = max(done_s, now_s + period_s)
            back = rung == 0
        assert now_s - slow_at_s <= PROBE_AFTER_S + 2 * period_s + 0.02


@settings(max_examples=40)
@given(slow_s=st.floats(0.3, 5.0), period_s=st.floats(0.01, 0.3))
def test_slow_rung_is_probed_once_per_second_and_a_tenth_of_the_time_at_most(
    slow_s: float, period_s: float
) -> None:
    steps, now_s, probes = ladder(slow_s, 0.001), 0.0, list[float]()
    while now_s < 30.0:
        rung, done_s = run(steps, [slow_s, 0.001], 0.2, now_s)
        if rung == 0:
            probes.append(now_s)
        now_s = max(done_s, now_s + period_s)
    assert probes
    assert all(later - earlier >= PROBE_AFTER_S for earlier, later in itertools.pairwise(probes))
    assert len(probes) * slow_s <= 0.1 * now_s + slow_s


def test_rung_is_not_probed_if_the_rung_below_would_be_late() -> None:
    steps = ladder(5.0, 0.3)
    assert choose(steps, 0.2, INF, 5.0) == (
        1,
        "late",
    )  # the last rung may be probed, because memory takes no time
    assert steps.divide([100], [0.2], INF, 5.0) == [Part(None, (0,), "late")]
    assert steps.divide([100], [0.35], INF, 5.0) == [Part(0, (0,), None, is_probe=True)]


def test_probe_excludes_requests_without_time_for_the_rung_below() -> None:
    steps = ladder(5.0, 0.01)
    steps.rungs[1].done(100, 0.01, 4.9)
    parts = steps.divide([50, 50, 50], [0.2, 0.005, 0.2], INF, 5.0)
    assert parts == [Part(0, (0, 2), None, is_probe=True), Part(None, (1,), "late")]


def test_rung_in_use_is_not_probed() -> None:
    steps = ladder(0.1, 0.01, at_s=4.5)
    assert choose(steps, 0.05, INF, 5.0) == (1, "late")
    assert choose(steps, 0.05, INF, 5.5) == (0, None)


def test_callers_with_short_deadlines_do_not_open_the_breaker() -> None:
    fresh = Ladder("ranker", [Rung("0", Idle()), Rung("1", Idle())])
    for _ in range(10):
        fresh.rungs[0].abandoned(100, 0.005, 0.0)
    assert choose(fresh, 1.0, INF, 0.0) == (0, None)
    steps = ladder(0.1, 0.01)
    for _ in range(10):
        steps.rungs[0].abandoned(100, 0.15, 0.0)
        steps.rungs[0].abandoned(100, 0.005, 0.0)
    assert steps.rungs[0].latency.expected_s(100) == 0.15
    assert choose(steps, 1.0, INF, 0.0) == (0, None)
    for _ in range(3):
        steps.rungs[0].abandoned(100, 2.0, 0.0)
    assert choose(steps, 1.0, INF, 0.0) == (1, "failed")


def test_abandoned_slow_probe_is_not_repeated_at_once() -> None:
    steps = ladder(0.4, 0.01)
    assert choose(steps, 0.2, INF, 5.0) == (0, None)
    steps.rungs[0].abandoned(100, 0.3, 5.3, is_probe=True)
    assert choose(steps, 0.2, INF, 7.9) == (1, "late")
    assert choose(steps, 0.2, INF, 8.1) == (0, None)
