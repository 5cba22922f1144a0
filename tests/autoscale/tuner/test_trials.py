"""Trials: several processes return the same scores as one, in order."""

import pytest

from autoscale.config import AutoscalingConfig
from autoscale.tuner.trials import Job, Simulating, workers
from tests.autoscale.planner.test_planner import ONE
from tests.autoscale.tuner.test_tuner import TRACE


def jobs() -> list[Job]:
    policies = [{"kind": "slo", "aim": aim} for aim in (0.5, 0.9, 1.4)] + [{"kind": "target_ongoing"}]
    return [
        (AutoscalingConfig.model_validate({"p99_ms": 100.0, "policy": policy}), (300.0, 600.0))
        for policy in policies
    ]


@pytest.mark.slow
def test_processes_return_the_same_scores_in_order() -> None:
    with workers(ONE, Simulating(ONE, TRACE, 0), 1) as evaluate:
        alone = list(evaluate(jobs()))
    with workers(ONE, Simulating(ONE, TRACE, 0), 2) as evaluate:
        assert list(evaluate(jobs())) == alone
    assert len({score for score in alone if score is not None}) > 1
