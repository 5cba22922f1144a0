"""Units that wait instead of computing. The service is real except for the model, which sleeps for each batch's time.

So a machine with two cores can run sixteen replicas, and their autoscaling can be compared with the simulator's.
"""

import math
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
from ray import serve
from ray.serve import Application, Deployment

from autoscale.profiles import Profile, Timing
from models.ragged import RaggedBatch
from services.app import PipelineArgs, replicas_options
from services.autoscaling.observations import recorded
from services.config.pipeline import PipelineConfig
from services.config.placement import placements
from services.ingress.http import RankApp
from services.units.ingress_replica import build_engine
from services.units.release_commands import ReleaseCommands

IMPORT_PATH = "benchmarks.autoscaling.waiting:build"
FIXED_S, PER_CANDIDATE_S = 0.030, 0.0005
_SIZES = ((1, 32), (2, 64), (4, 128))


def batch_s(candidates: int) -> float:
    """Return the seconds that a batch takes."""
    return FIXED_S + PER_CANDIDATE_S * candidates


def waiting_profile(startup_s: float) -> Profile:
    """Return the profile for a unit whose batches take exactly `batch_s`."""
    timings = [
        Timing(requests=requests, candidates=candidates, p50_ms=ms, p99_ms=ms, mean_ms=ms, runs=1)
        for requests, candidates in _SIZES
        for ms in [1e3 * batch_s(candidates)]
    ]
    return Profile(
        unit="main",
        pool="local",
        machine="invented: it waits instead of computing",
        timings=tuple(timings),
        startup_s=startup_s,
        memory_mib=200.0,
        overhead_ms=2.0,
    )


class Waiting:
    """A ranker that sleeps and returns the score 0 for every candidate."""

    name = "ranker"

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Sleep as long as the batch takes."""
        time.sleep(batch_s(batch.candidate_count))
        scores = np.zeros(batch.candidate_count, dtype=np.float32)
        return batch.adding(candidates={"score": scores, "ranker": scores})


class WaitingUnit(ReleaseCommands):
    """The ingress unit with a waiting ranker."""

    def __init__(self, config: dict[str, Any], home: str) -> None:
        """Load everything except the ranker."""
        replica = serve.get_replica_context().replica_id.unique_id
        pipeline = PipelineConfig.model_validate(config)
        self._engine = build_engine(pipeline, Path(home), replica=replica, remote={"ranker": Waiting()})
        self._app = RankApp(self._engine)
        super().__init__(self._engine.live, replica)

    def __serve_build_asgi_app__(self) -> RankApp:
        """Return the application object to Serve."""
        return self._app

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Return the same statistics as the real unit."""
        return recorded(self._engine.runner.waiting_candidates, self._engine.metrics)

    async def __del__(self) -> None:
        """Stop the threads."""
        self._engine.close()


def build(args: PipelineArgs) -> Application:
    """Compose the only deployment. Serve imports this by name."""
    placement = placements(args.config, args.config.ingress_unit)[0]
    deployment = cast(Deployment, serve.deployment(cast(type, serve.ingress()(WaitingUnit))))
    configured = deployment.options(
        name=placement.deployment,
        ray_actor_options=placement.actor_options(),
        max_ongoing_requests=4096,
        health_check_period_s=2.0,
        **replicas_options(placement, args),
    )
    return configured.bind(args.config.model_dump(mode="json"), args.home)


def arrivals(seconds: float, peak_per_s: float, seed: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return Poisson arrivals as sorted seconds: calm, a wave with a burst on its way down, and calm again."""
    step_s = 0.5
    progress = np.arange(0, seconds, step_s) / seconds
    wave = np.clip(np.sin((progress - 0.15) / 0.7 * math.pi), 0, 1) ** 2
    burst = np.where((progress > 0.66) & (progress < 0.74), 0.45, 0.0)
    rates = peak_per_s * np.clip(0.06 + 0.94 * wave + burst, 0, 1.05)
    random = np.random.default_rng(seed)
    counts = random.poisson(rates * step_s)
    steps = np.repeat(np.arange(len(rates)), counts)
    times: np.ndarray[tuple[int], np.dtype[np.float64]] = np.sort(
        (steps + random.random(len(steps))) * step_s
    )
    return times
