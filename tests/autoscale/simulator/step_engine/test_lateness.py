"""Waiting requests: no answer is lost, and none comes after its deadline."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale.simulator.event_engine.state import BUCKETS, DEGRADED, IN_TIME, LATENCY_S, LEAST_S, PER_E, SHED
from autoscale.simulator.step_engine.lateness import delayed, refused
from autoscale.spec import Fallback, PipelineSpec
from tests.autoscale.simulator.specs import one_unit

DEADLINE_MS = 500.0
HURRIED = one_unit(deadline_ms=DEADLINE_MS)
HELPED = one_unit(deadline_ms=DEADLINE_MS, fallback=Fallback("small", 1e-6))
LAST = int(np.ceil(np.log(DEADLINE_MS / 1e3 / LEAST_S) * PER_E))


@given(
    st.lists(st.tuples(st.integers(0, LAST - 1), st.floats(1, 1e6)), min_size=1, max_size=20),
    st.floats(0, 2),
    st.sampled_from([HURRIED, HELPED]),
)
def test_every_answer_comes_by_the_deadline_and_is_counted_once(
    counts: list[tuple[int, float]], waited_s: float, pipeline: PipelineSpec
) -> None:
    answers, outcomes = np.zeros(BUCKETS), np.zeros(LATENCY_S + 1)
    for bucket, count in counts:
        answers[bucket] += count
    outcomes[IN_TIME] = answers.sum()
    moved = delayed(pipeline, answers, outcomes, waited_s)
    assert moved.sum() == pytest.approx(answers.sum())
    assert not moved[LAST + 1 :].any()
    assert outcomes[IN_TIME:LATENCY_S].sum() == pytest.approx(answers.sum())
    assert (outcomes >= -1e-6).all()
    assert outcomes[DEGRADED] == 0 or pipeline is HELPED
    assert outcomes[LATENCY_S] <= answers.sum() * DEADLINE_MS / 1e3 * 1.02


def test_excess_requests_are_shed_or_answered_by_the_fallback() -> None:
    totals, latencies = np.zeros(LATENCY_S + 1), np.zeros(BUCKETS)
    refused(HURRIED, 7.0, totals, latencies)
    assert (totals[SHED], latencies.sum()) == (7.0, 0.0)
    refused(HELPED, 5.0, totals, latencies)
    assert (totals[SHED], totals[DEGRADED], latencies.sum()) == (7.0, 5.0, 5.0)
    assert totals[LATENCY_S] == pytest.approx(5 * 0.3 * DEADLINE_MS / 1e3)
