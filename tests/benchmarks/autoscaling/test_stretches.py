"""The pipeline spec for simulating a stretch, one uninterrupted part of a measurement."""

from pathlib import Path

import pytest

from autoscale.profiles import write_profile
from benchmarks.autoscaling.accuracy import accuracy_config, most_per_s, profile_path
from benchmarks.autoscaling.stretches import at_pace
from benchmarks.autoscaling.waiting import waiting_profile
from services.autoscaling.spec import spec_of


def test_pace_multiplies_the_time_of_batches(tmp_path: Path) -> None:
    write_profile(waiting_profile(5.0), profile_path(tmp_path, 2))
    spec = spec_of(accuracy_config(2), tmp_path)
    assert most_per_s(at_pace(spec, 1.25)) == pytest.approx(most_per_s(spec) / 1.25)
