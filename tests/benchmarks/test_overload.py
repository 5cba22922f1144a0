"""An overloaded service's figures, computed from its answers."""

import json

import pytest

from benchmarks.cases.workloads import WORKLOADS
from benchmarks.harness.overload_figures import recovery_s, summary, undegraded_again_s
from benchmarks.harness.results import Answered
from benchmarks.overload import requests_of


def answered(at_s: float, took_s: float, status: int = 200, degraded: str | None = None) -> Answered:
    body = json.dumps({"degraded": degraded})
    return Answered(at_s, at_s + took_s, f"HTTP/1.1 {status} X\r\nx-request-id: low\r\n\r\n{body}".encode())


def test_counts_answers_by_rung_and_priority_and_refusals_separately() -> None:
    figures = summary(
        [answered(0, 0.1), answered(0, 0.3, degraded="ranker:popular:load"), answered(1, 0.01, 429)], 2.0
    )
    assert (figures["goodput_rps"], figures["whole_rps"], figures["refused_rps"]) == (1.0, 0.5, 0.5)
    assert figures["refused_p99_ms"] == pytest.approx(10.0)
    assert figures["rungs"] == {"whole": 1, "ranker:popular:load": 1}
    assert figures["priorities"]["low"] == {"whole": 1, "less": 1, "refused": 1}


@pytest.mark.parametrize(("slow_seconds", "expected"), [([], 0.0), ([0, 1], 2.0), ([2], 3.0), ([3], None)])
def test_recovery_ends_after_the_last_slow_second(slow_seconds: list[int], expected: float | None) -> None:
    answers = [answered(10 + at, 0.5 if at in slow_seconds else 0.05) for at in range(4)]
    assert recovery_s(answers, 10.0, 50.0) == expected


@pytest.mark.parametrize(
    ("degraded_seconds", "expected"), [([], 0.0), ([0, 1], 2.0), ([2], 3.0), ([3], None)]
)
def test_answers_are_undegraded_again_after_the_last_degraded_second(
    degraded_seconds: list[int], expected: float | None
) -> None:
    answers = [answered(10 + at, 0.05, degraded="r" if at in degraded_seconds else None) for at in range(4)]
    assert undegraded_again_s(answers, 10.0) == expected


def test_answer_after_the_deadline_is_not_goodput() -> None:
    figures = summary([answered(0, 0.1), answered(0, 0.6)], 2.0, deadline_s=0.5)
    assert (figures["goodput_rps"], figures["other_statuses"]) == (0.5, {"late": 1})


def test_every_tenth_request_has_a_higher_priority_and_a_matching_id() -> None:
    requests = requests_of(WORKLOADS["dlrm"], 80)
    high = [index for index, request in enumerate(requests) if b"x-request-id: high" in request]
    assert high == list(range(0, len(requests), 10))
    assert all((b'"priority"' in request) == (index in high) for index, request in enumerate(requests))
