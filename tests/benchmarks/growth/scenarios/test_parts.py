"""The measured parts of the growth charts, on small inputs."""

from pathlib import Path

import pytest

from autoscale.profiles import Profile, Timing
from benchmarks.cases.workloads import WORKLOADS
from benchmarks.growth.in_process import TOTAL, InProcess, with_changes
from benchmarks.growth.policy_time import policy_ms
from benchmarks.growth.replicas import most_per_s, spec_with
from benchmarks.growth.users import append_to_lmdb, key_of
from services.config.loading import load_config
from services.stores.lmdb import LmdbStore


def test_lmdb_keeps_rows_that_were_appended_in_steps(tmp_path: Path) -> None:
    append_to_lmdb(tmp_path, b"row", 0, 10)
    append_to_lmdb(tmp_path, b"row", 10, 25)
    store = LmdbStore(tmp_path)
    assert store.count() == 25
    assert list(store.read_many([key_of(0), key_of(24), key_of(25)]).rows) == [b"row", b"row", None]
    store.close()


def test_policy_decides_about_any_number_of_replicas() -> None:
    assert policy_ms(1) > 0
    assert policy_ms(20) > 0


def test_more_replicas_sustain_more_requests() -> None:
    timings = tuple(
        Timing(requests=n, candidates=200 * n, p50_ms=1.0 + n, p99_ms=2.0 + n, mean_ms=1.0 + n, runs=100)
        for n in (1, 2, 4, 5)
    )
    profile = Profile(
        unit="main", pool="local", machine="made", timings=timings, startup_s=1.0, memory_mib=1.0
    )
    rates = [most_per_s(spec_with(WORKLOADS["walks-200"], profile, count), 50.0) for count in (1, 4)]
    assert 500 < rates[0] < 5 / 6 * 1e3  # a full batch of 5 takes 6 ms
    assert 3.5 < rates[1] / rates[0] < 5


def test_settings_can_change_and_remove_fields() -> None:
    pipeline = WORKLOADS["walks-200"].pipeline()
    changed = with_changes(
        pipeline, {"candidates": {"count": 7}, "features": {"live": None}, "fallback": None}
    )
    assert changed.candidates.count == 7
    assert changed.fallback is None
    assert (changed.features.live, changed.features.store) == (None, pipeline.features.store)


@pytest.mark.slow
def test_one_replica_in_this_process_reports_its_cost_by_stage(tiny_home: Path) -> None:
    pipeline = load_config(tiny_home / "walks.yaml")
    with InProcess(pipeline, tiny_home) as replica:
        cost = replica.cost(0.2)
        stages = {name: ms for name, ms in cost.items() if name != TOTAL}
        assert {"features", "ranker", "reranker"} <= stages.keys()
        assert min(cost.values()) > 0
        assert replica.batch.candidate_count > 0
