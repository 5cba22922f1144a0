"""The open loop: all requests are served in order, in batches of the prepared sizes."""

import time

import pytest

from benchmarks.on_gpu.open_loop import open_loop


def test_serves_every_request_in_batches_of_the_prepared_sizes() -> None:
    served: list[int] = []
    result = open_loop(served.append, [1, 2, 4], rate=5000.0, seconds=0.05)
    assert set(served) <= {1, 2, 4}
    assert sum(served) >= result.requests == 250
    assert result.missed == 0
    assert 0 < result.p50_ms <= result.p99_ms


def test_latency_counts_the_time_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds + 0.001))

    def serve(_size: int) -> None:
        clock[0] += 0.1

    result = open_loop(serve, [1], rate=20.0, seconds=1.0)  # the model serves 10 requests per second
    assert result.p99_ms > 500
    assert result.mean_batch == 1


def test_an_overloaded_window_ends_and_counts_the_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds + 0.001))

    def serve(_size: int) -> None:
        clock[0] += 1.0

    result = open_loop(serve, [1], rate=100.0, seconds=1.0)
    assert result.requests == 100
    assert result.missed >= 96
