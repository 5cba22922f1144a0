"""What the accuracy check makes of both sides."""

from pathlib import Path

import numpy as np
import pytest

from autoscale.profiles import write_profile
from benchmarks.live.accuracy import accuracy_config, most_per_s, p99_by_stretch_ms, profile_path
from benchmarks.live.waiting import batch_s, waiting_profile
from benchmarks.results import Answered
from services.lowering import spec_of


def test_p99_is_told_of_each_third_of_the_time_by_when_requests_were_due() -> None:
    due_s = np.arange(0.0, 30.0, 0.01)
    took_s = np.where(due_s < 10, 0.1, np.where(due_s < 20, 0.2, 15.0))
    answers = [Answered(100 + due, 100 + due + took, b"") for due, took in zip(due_s, took_s, strict=True)]
    assert p99_by_stretch_ms(answers, 100.0, 30.0) == pytest.approx((100, 200, 15_000))


def test_the_profile_is_read_where_the_bench_writes_it_and_bounds_the_rate(tmp_path: Path) -> None:
    config = accuracy_config(2)
    assert Path(str(config.units["main"].profile)).name == profile_path(tmp_path, 2).name
    write_profile(waiting_profile(5.0), profile_path(tmp_path, 2))
    spec = spec_of(config, tmp_path)
    assert spec.units[0].placed[0].initial_replicas == 2
    assert spec.candidates_per_request == 512
    # Four requests of 512 are a full batch.
    assert most_per_s(spec) == pytest.approx(4 / batch_s(2048), rel=1e-3)
