import json

import pytest

from benchmarks.harness.answers import read_batches
from benchmarks.harness.results import Answered


def answered(started_s: float, answered_s: float, ranker_ms: float, queue_ms: float = 0.5) -> Answered:
    body: dict[str, object] = {
        "request_id": "r",
        "items": [],
        "timings_ms": {"queue": queue_ms, "ranker": ranker_ms},
        "degraded": None,
    }
    return Answered(started_s, answered_s, b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(body).encode())


def test_answers_with_equal_stage_times_count_as_one_batch() -> None:
    batches = read_batches([answered(0, 3, 1.25), answered(1, 3.1, 1.25, 1.5), answered(2, 3.2, 2.0)])
    assert batches.requests_by_batch == {1: 1, 2: 1}
    assert batches.mean_requests == 1.5
    assert batches.stage_ms == {"ranker": pytest.approx(1.625)}
    assert batches.queue_ms == pytest.approx(2.5 / 3)


def test_request_sent_after_the_first_answer_counts_as_another_batch() -> None:
    batches = read_batches([answered(0, 1, 1.25), answered(1.5, 2, 1.25), answered(1.6, 2.1, 1.25)])
    assert batches.requests_by_batch == {1: 1, 2: 1}


def test_refusals_do_not_count_as_batches() -> None:
    refused = Answered(0, 1, b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n")
    assert read_batches([refused]).requests_by_batch == {}
