"""The control benchmark's evaluation of service and simulator."""

import numpy as np
import pytest

from autoscale.capacity.service_time import service_time
from benchmarks.autoscaling.control import Curve, control_config, paired, startup_s
from benchmarks.autoscaling.waiting import arrivals, batch_s, waiting_profile


def test_replica_seconds_are_the_integral_of_a_step_function() -> None:
    curve = Curve([0.0, 1.0, 3.0], [1, 2, 4], [1, 2, 4], [1, 1, 2])
    assert curve.seconds_of(curve.target, 4.0) == 1 * 1 + 2 * 2 + 4 * 1
    assert curve.seconds_of(curve.ready, 2.0) == 1 + 1


def test_reports_one_rise_per_added_replica_and_again_after_a_fall() -> None:
    curve = Curve([0.0, 1.0, 2.0, 3.0, 4.0], [1, 3, 3, 1, 2])
    assert curve.rises() == [(1.0, 2), (1.0, 3), (4.0, 2)]


def test_pairs_each_rise_with_the_nearest_rise_to_the_same_replica_count() -> None:
    pairs, alone = paired([(1.0, 2), (40.0, 2)], [(39.0, 2), (2.0, 2), (5.0, 3)])
    assert pairs == [(1.0, 2.0, 2), (40.0, 39.0, 2)]
    assert alone == 1


def test_start_up_time_is_the_time_from_a_step_up_until_ready() -> None:
    curve = Curve([0.0, 1.0, 2.0, 5.0, 6.0], [1, 2, 2, 2, 3], [1, 2, 2, 2, 3], [1, 1, 1, 2, 2])
    assert startup_s(curve) == 4.0


def test_profile_matches_the_sleep_of_the_unit_and_arrivals_are_sorted_in_the_window() -> None:
    fitted = service_time(waiting_profile(3.0))
    for requests, candidates in ((1, 32), (3, 96), (4, 128)):
        assert float(fitted.batch_s(requests, candidates)) == pytest.approx(batch_s(candidates), rel=1e-3)
    times_s = arrivals(60.0, 100.0, seed=1)
    assert (np.diff(times_s) >= 0).all()
    assert 0 <= times_s[0] < times_s[-1] < 60.0


def test_pipeline_has_at_most_sixteen_replicas_with_a_tenth_of_a_cpu_each() -> None:
    config = control_config({"kind": "slo"}, 8123)
    assert config.units["main"].cpus == 0.1
    assert config.autoscaling is not None
    assert config.autoscaling.bounds["main"].max_replicas == 16
