"""Traces: files round-trip, and invalid traces are rejected."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.errors import TraceError
from autoscale.traces.bins import Arrivals, Bins
from autoscale.traces.files import open_trace
from autoscale.traces.trace import ArrivalTrace, BinnedTrace
from autoscale.traces.writing import write_arrivals, write_bins


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    return path


def read_all(path: Path) -> list[Arrivals]:
    return list(open_trace(path).arrivals(0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("time_s,candidates\n", "is empty"),
        ("time_s,items\n1,2\n", "missing column candidates"),
        ("time_s,candidates,colour\n1,2,3\n", "unknown column colour"),
        (
            "time_s,candidates\n2,10\n1,10\n",
            "request 2: time_s must be at least that of the previous request.*sort",
        ),
        ("time_s,candidates\n-1,10\n", "time_s must be at least 0"),
        ("time_s,candidates\n0,0\n", "candidates must be at least 1"),
        ("time_s,candidates\nnan,10\n", "time_s must be finite"),
        ("time_s,candidates\n,10\n", "time_s must be finite"),
        ("time_s,candidates\n1,\n", "candidates must be a whole number.*, got nan"),
        ("time_s,candidates\n1,2.5\n", "whole number"),
        ("time_s,candidates\n1,1e12\n", "whole number"),
        ("time_s,candidates\nsoon,10\n", "cannot be read"),
        ("time_s,candidates\n1,2,3\n", "cannot be read"),
        ("time_s,candidates,deadline_ms\n1,2,0\n", "deadline_ms must be above 0, got 0"),
        ("time_s,candidates,priority\n1,2,\n", "priority"),
        ("time_s,requests,candidates\n0,1,2\n", "at least two"),
        ("time_s,requests,candidates\n0,1,2\n60,1,2\n90,1,2\n", "60 and 90 s"),
        (
            "time_s,requests,candidates\n0,1,2\n60,-1,2\n",
            r"bin 2 .*requests must be from 0 to 1e\+12, got -1",
        ),
        ("time_s,requests,candidates\n0,1,2\n60,nan,2\n", "bin 2"),
        ("time_s,requests,candidates\n0,0,2\n60,0,2\n", "no bin has a request"),
        ("time_s,requests,candidates\n0,1,2\n60,inf,2\n", "bin 2"),
    ],
)
def test_error_of_invalid_trace_gives_the_reason(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(TraceError, match=expected):
        read_all(written(tmp_path, text))


def test_rejects_missing_file_and_unknown_format(tmp_path: Path) -> None:
    for name in ("absent.csv", "absent.parquet", "absent.json"):
        with pytest.raises(TraceError, match="absent"):
            open_trace(tmp_path / name)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(TraceError, match="cannot be read"):
        open_trace(tmp_path / "broken.parquet")


def test_detects_unordered_requests_across_chunks() -> None:
    first, then = (Arrivals(np.array([time]), np.array([1], dtype=np.int32)) for time in (2.0, 1.0))
    with pytest.raises(TraceError, match="request 2"):
        list(ArrivalTrace("two", lambda: iter((first, then))).arrivals())


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 5000)), min_size=1, max_size=60).map(sorted),
)
def test_requests_round_trip_through_a_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, int]]
) -> None:
    times, candidates = zip(*rows, strict=True)
    arrivals = Arrivals(np.array(times), np.array(candidates, dtype=np.int32))
    path = tmp_path_factory.mktemp("trace") / "a.parquet"
    assert write_arrivals(iter((arrivals,)), path) == len(rows)
    (read,) = read_all(path)
    assert read.times_s.tolist() == list(times)
    assert read.candidates.tolist() == list(candidates)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_counts_round_trip_through_a_file(tmp_path: Path, suffix: str) -> None:
    counts = Bins.from_counts(120.0, 60.0, [5, 0, 7], 200.0)
    write_bins(counts, tmp_path / f"t.{suffix}", ["made up"])
    read = open_trace(tmp_path / f"t.{suffix}").bins(60.0)
    assert (read.start_s, read.step_s, read.requests.tolist()) == (120.0, 60.0, [5, 0, 7])
    assert read.candidates.tolist() == [200.0] * 3


def test_requests_are_drawn_inside_their_bin() -> None:
    counts = Bins.from_counts(10.0, 30.0, [400, 0, 1_500_000], [100, 1, 50])
    times = np.concatenate([chunk.times_s for chunk in BinnedTrace("b", counts).arrivals(1)])
    assert np.histogram(times, [10, 40, 70, 100])[0].tolist() == [400, 0, 1_500_000]
    assert (np.diff(times) >= 0).all()


def test_only_dispersed_arrivals_have_bursts() -> None:
    even = Bins.from_counts(0.0, 1000.0, [100_000], 10.0)
    dispersed = Bins(0.0, 1000.0, even.requests, even.candidates, np.array([0.5]), np.array([0.25]))

    def index_of_dispersion(counts: Bins) -> float:
        seconds = ArrivalTrace("x", lambda: BinnedTrace("x", counts).arrivals(3)).bins(1.0).requests
        return float(seconds.var() / seconds.mean())

    assert index_of_dispersion(even) == pytest.approx(1.0, rel=0.2)
    assert index_of_dispersion(dispersed) == pytest.approx(1.0 + 100 * 0.25, rel=0.3)
    (chunk,) = BinnedTrace("x", dispersed).arrivals(3)
    assert chunk.candidates.mean() == pytest.approx(10.0, rel=0.05)
    assert chunk.candidates.std() == pytest.approx(5.0, rel=0.1)


def test_the_same_seed_draws_the_same_requests() -> None:
    trace = BinnedTrace("b", Bins.from_counts(0.0, 60.0, [50.5, 20], 7.5))
    one, other, third = (np.concatenate([c.times_s for c in trace.arrivals(seed)]) for seed in (1, 1, 2))
    assert one.tolist() == other.tolist() != third.tolist()


def test_merging_and_splitting_bins_keeps_all_requests() -> None:
    trace = BinnedTrace("b", Bins.from_counts(60.0, 60.0, [10, 20, 30], [100, 100, 400]))
    wide = trace.bins(180.0)
    assert (wide.start_s, wide.requests.tolist()) == (0.0, [30, 30])
    assert (wide.candidates * wide.requests).sum() == 1000 + 2000 + 12_000
    assert trace.bins(20.0).requests.sum() == pytest.approx(60)
    with pytest.raises(TraceError, match="cannot be divided into"):
        trace.bins(45.0)
    assert trace.scaled(2.5).counts.requests.tolist() == [25, 50, 75]
    for factor in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(TraceError, match="above 0"):
            trace.scaled(factor)


def test_counts_requests_and_their_candidates_in_bins() -> None:
    trace = ArrivalTrace.from_arrays(np.array([5.5, 5.6, 9.0]), np.array([10, 30, 7], dtype=np.int32))
    counts = trace.bins(1.0)
    assert (counts.start_s, counts.requests.tolist()) == (5.0, [2, 0, 0, 0, 1])
    assert counts.candidates[0] == 20.0
    assert counts.candidates_cv[0] == pytest.approx(0.5)
    assert trace.scaled(2.0).bins(1.0).requests.sum() == 6
