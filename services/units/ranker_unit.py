"""The ranker as a unit of its own, as a Serve deployment."""

from functools import partial
from pathlib import Path
from typing import Any

from ray import serve

from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from services.autoscaling.observations import recorded
from services.config.pipeline import PipelineConfig
from services.config.placement import placement_of
from services.logs.traffic import TrafficLog
from services.releases.live import LiveReleases, Loaded
from services.releases.release import Release
from services.releases.shared_parts import SharedParts
from services.releases.throttle import Rest
from services.releases.warmup import batch_shapes, sample_batch, warm
from services.scheduling.ladder import Ladder
from services.scheduling.runner import Runner
from services.sharding.actors import start_group
from services.stages.history_cache import LookupCounts
from services.telemetry.metrics import Flusher, ReleaseMetrics, UnitMetrics, history_lookups
from services.units.release_commands import Swapping
from services.units.remote_ranker import RankerService


class RankerUnit(Swapping):
    """The ranker as a unit of its own."""

    async def __init__(self, config: dict[str, Any], home: str) -> None:  # type: ignore[misc]  # Serve awaits it
        """Load and warm the ranker, then rehearse calls."""
        pipeline = PipelineConfig.model_validate(config)
        name = pipeline.unit_of("ranker")
        unit = pipeline.units[name]
        replica = serve.get_replica_context().replica_id.unique_id
        histories = history_lookups(pipeline.name, replica)
        group = start_group(pipeline)
        shared = SharedParts(load_runtime if group is None else group.load_runtime)
        load = partial(_load_ranker, home=Path(home), shared=shared, histories=histories)
        live = LiveReleases(pipeline, Path(home), load)
        super().__init__(live, replica, group)
        deployment = serve.get_replica_context().deployment
        pool = placement_of(pipeline, deployment).key.pool
        self._traffic: TrafficLog | None = None
        if pipeline.record is not None:
            self._traffic = TrafficLog(pipeline.record, Path(home), pipeline.model_dump_json(), replica)
        self._metrics = UnitMetrics(name, replica, pool, self._traffic)
        self._runner: Runner[RaggedBatch] = Runner(
            merge=lambda batches, _release: RaggedBatch.concatenate(batches),
            ladders_of=lambda release: live.of(release).ladders,
            batching=unit.batching,
            max_in_flight=unit.max_calls_in_flight,
            metrics=self._metrics,
        )
        self._service = RankerService(self._runner, live)
        releases = ReleaseMetrics(pipeline.name, name, replica, lambda: live.failed is not None)
        self._flusher = Flusher([self._metrics, releases, histories])
        release, each = live.active.release, pipeline.candidates.count
        for requests in batch_shapes(pipeline):
            await self._service.rehearse(
                sample_batch(
                    release.layout, release.view, len(release.catalogue), requests, each, release.name
                )
            )

    async def score(self, payload: bytes) -> bytes:
        """Score one packed batch."""
        return await self._service.score(payload)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Queues live in the batcher: what autoscaling policies read."""
        return recorded(self._runner.waiting_candidates, self._metrics)

    async def __del__(self) -> None:
        """Stop the threads, and the other ranks."""
        self._runner.close()
        if self._traffic is not None:
            self._traffic.close()
        self._flusher.close()
        self.live.close()
        if self.group is not None:
            self.group.close()


def _load_ranker(
    config: PipelineConfig, rest: Rest, *, home: Path, shared: SharedParts, histories: LookupCounts
) -> Loaded:
    stages = config.units[config.unit_of("ranker")].stages
    release = Release(config, home, stages, shared=shared, histories=histories, rest=rest)
    ladders = [Ladder.of(stage) for stage in release.stages.values()]
    warm(release, config, ladders, rest)
    return Loaded(release, ladders)
