"""From replica records to the scaler's targets: requests that degraded at the ingress, and lasting misses."""

import logging
from typing import Any

import pytest

from autoscale.config import make_policy
from autoscale.profiles import Profile, Timing
from autoscale.spec import Key
from services.autoscaling.observations import recorded
from services.autoscaling.scaler import Scaler
from services.autoscaling.spec import lowered
from services.config.loading import validated
from services.config.placement import all_placements
from services.telemetry.metrics import UnitMetrics
from tests.pipelines import SPLIT, merged, pipeline_document
from tests.services.autoscaling.test_observations import Seen

MAIN, SCORER = Key("main", "local"), Key("scorer", "local")
SCALING: dict[str, Any] = {
    "autoscaling": {"policy": {"kind": "coupled", "forecast": None}, "p99_ms": 100, "decision_interval_s": 5},
    "units": {"main": {"max_calls_in_flight": 32}},
}
SIZE = 20


def profile_of(key: Key, batch_ms: float) -> Profile:
    once = Timing(requests=1, candidates=512, p50_ms=batch_ms, p99_ms=batch_ms, mean_ms=batch_ms, runs=100)
    return Profile(
        unit=key.unit, pool=key.pool, machine="a test's", timings=(once,), startup_s=5.0, memory_mib=100.0
    )


class Service:
    """The metrics that the controller receives from one replica of each unit, second by second."""

    def __init__(self) -> None:
        document = merged(merged(pipeline_document(), SPLIT), SCALING)
        config = validated(document, "test")
        assert config.autoscaling is not None
        spec = lowered(config, {MAIN: profile_of(MAIN, 2.0), SCORER: profile_of(SCORER, 40.0)})
        placed = {placement.deployment: placement for placement in all_placements(config)}
        self.names = {placement.key: name for name, placement in placed.items()}
        self.scaler = Scaler(make_policy(config.autoscaling, spec), spec, placed)
        self.metrics = {key: UnitMetrics(key.unit, "test") for key in (MAIN, SCORER)}
        self.seen = {MAIN: Seen(1, 1), SCORER: Seen(3, 3)}
        self.now_s = 100.0

    def run(self, seconds: int, per_s: int, fell: int = 0, missed: int = 0) -> int:
        """Let seconds pass, each with the given request counts. Return the target number of rankers."""
        for _ in range(seconds):
            self.metrics[MAIN].arrived(per_s, SIZE * per_s)
            self.metrics[MAIN].shed(fell)
            self.metrics[MAIN].missed(missed)
            self.metrics[SCORER].arrived(per_s - fell, SIZE * (per_s - fell))
            for key, seen in self.seen.items():
                seen.tell("a", self.now_s, recorded(0, self.metrics[key]))
            contexts = {self.names[key]: seen for key, seen in self.seen.items()}
            for name, target in self.scaler.targets(contexts, self.now_s).items():
                contexts[name].target_num_replicas = contexts[name].current_num_replicas = target
            self.now_s += 1
        return self.seen[SCORER].target_num_replicas


def test_degraded_answers_keep_the_ranker_and_misses_scale_it_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service, per_s = Service(), 1200  # 24,000 candidates/s
    needed = service.run(300, per_s)
    assert needed >= 2
    # Half of the requests degrade because of an error. The load stays the same.
    assert service.run(400, per_s, fell=per_s // 2) == needed
    with caplog.at_level(logging.INFO, logger="ray.serve"):
        assert service.run(400, per_s, fell=per_s // 2, missed=per_s // 2) > needed
    assert "added because 50.0% of the answers are degraded, refused or late)" in caplog.text
