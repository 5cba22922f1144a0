"""The tuner: a search finds a front, resumes from its journal, and rejects an invalid journal."""

from pathlib import Path

import numpy as np
import pytest

from autoscale.config import AutoscalingConfig
from autoscale.errors import AutoscaleError
from autoscale.reports.summary import changes, gains, patch
from autoscale.traces.bins import Bins
from autoscale.traces.trace import BinnedTrace
from autoscale.tuner.fronts import JudgedConfig, best, chosen, front
from autoscale.tuner.study import TuneOptions
from autoscale.tuner.trials import simulated, window
from autoscale.tuner.tuner import judge, tune
from tests.autoscale.planner.test_planner import ONE

WAVE = 60 + 500 * np.exp(-(((np.arange(90) - 45) / 8) ** 2))
TRACE = BinnedTrace("wave", Bins.from_counts(0.0, 10.0, np.round(WAVE * 10), 100.0))
SERVE = AutoscalingConfig.model_validate({"p99_ms": 100.0, "policy": {"kind": "target_ongoing"}})
OPTIONS = TuneOptions(
    kinds=("slo",), trials=6, middle=3, finalists=2, short_s=300, middle_s=600, step_s=10, workers=1
)


def candidate(number: int, cost: float, misses: float) -> JudgedConfig:
    return JudgedConfig(number, SERVE, cost, misses)


def test_search_finds_a_front_and_resumes_from_its_journal(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    tuned = tune(ONE, SERVE, TRACE, OPTIONS, tmp_path / "j", lambda *report: seen.append(report))
    assert tuned.trials == 6
    assert tuned.chosen.config.policy.kind == "slo"
    assert ("whole", 2, 2) in seen
    seen.clear()
    again = tune(ONE, SERVE, TRACE, OPTIONS, tmp_path / "j", lambda *report: seen.append(report))
    assert again == tuned
    assert seen == [("short", 6, 6), ("middle", 3, 3), ("whole", 2, 2)]
    other = OPTIONS.model_copy(update={"max_misses": 0.5})
    with pytest.raises(AutoscaleError, match="another pipeline, trace or options"):
        tune(ONE, SERVE, TRACE, other, tmp_path / "j")


def test_rejects_invalid_journal_and_unknown_policy(tmp_path: Path) -> None:
    (tmp_path / "j").mkdir()
    with pytest.raises(AutoscaleError, match="cannot be used as a journal"):
        tune(ONE, SERVE, TRACE, OPTIONS, tmp_path / "j")
    with pytest.raises(AutoscaleError, match="policy: expected known kinds, got hope"):
        tune(ONE, SERVE, TRACE, OPTIONS.model_copy(update={"kinds": ("hope",)}), tmp_path / "k")


def test_front_has_configurations_that_no_other_beats_in_both() -> None:
    every = [
        candidate(*each) for each in ((0, 5, 0.1), (1, 6, 0.2), (2, 7, 0.01), (3, 9, 0.001), (4, 8, 0.5))
    ]
    assert [one.number for one in front(every)] == [0, 2, 3]
    assert chosen(every, 0.05).number == 2
    assert chosen(every, 0.0001).number == 3


def test_trials_with_far_too_many_misses_come_last() -> None:
    scores = {0: (1.0, 0.9), 1: (5.0, 0.02), 2: (6.0, 0.005), 3: (9.0, 0.001), 4: (7.0, 0.006)}
    assert best(scores, 4, 0.01) == [2, 3, 1, 4]
    assert best(scores, 9, 0.01)[-1] == 0


def test_window_is_the_period_in_which_the_load_changes_most() -> None:
    part = window(TRACE, 300.0)
    assert part is not None
    assert part[0] < 450 < part[1] or 350 < part[0] < 460 or 440 < part[1] < 560
    assert window(TRACE, 1e9) is None


def test_describes_a_change_and_writes_it_as_a_patch() -> None:
    quick = AutoscalingConfig.model_validate(
        {"p99_ms": 100.0, "policy": {"kind": "target_ongoing", "upscale_delay_s": 5.0}}
    )
    assert changes(SERVE, quick) == ["policy.upscale_delay_s 30 -> 5"]
    slo = AutoscalingConfig.model_validate({"p99_ms": 100.0, "policy": {"kind": "slo", "aim": 0.5}})
    assert changes(SERVE, slo) == ["the policy slo instead of target_ongoing", "policy.aim 0.9 -> 0.5"]
    assert changes(None, quick) == ["the policy target_ongoing instead of a fixed number of replicas"]
    assert patch(slo, ("why",)) == (
        "# why\nautoscaling:\n  policy:\n    kind: slo\n    aim: 0.5\n  p99_ms: 100.0\n"
    )
    old, new = (simulated(ONE, config, TRACE, None, 0) for config in (SERVE, slo))
    assert "on wave the new autoscaling costs" in gains(old, new, "wave")


def test_judge_simulates_the_whole_trace_for_each_configuration() -> None:
    reports: list[tuple[str, int, int]] = []
    fixed, serve = judge(ONE, [None, SERVE], TRACE, OPTIONS, lambda *progress: reports.append(progress))
    alone = simulated(ONE, SERVE, TRACE, None, 0)
    assert (serve.cost, serve.requests) == (alone.cost, alone.requests)
    assert not fixed.decisions
    assert reports == [("judged", 0, 2), ("judged", 1, 2), ("judged", 2, 2)]
