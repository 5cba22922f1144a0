"""The ranker as a Serve deployment, if it is a separate unit."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ray import serve

from models.features.sent import joined
from models.ragged import RaggedBatch
from services.autoscaling.observations import recorded
from services.config.pipeline import PipelineConfig
from services.config.placement import placement_of
from services.releases.live import LiveReleases
from services.releases.release import Release
from services.releases.warmup import batch_shapes, sample_batch
from services.scheduling.ladder import Ladder
from services.scheduling.runner import Runner
from services.sharding.actors import start_group
from services.units.release_commands import ReleaseCommands
from services.units.remote_ranker import RankerService
from services.units.replica import ReplicaParts, closed_on_error, group_runtimes


class RankerUnit(ReleaseCommands):
    """The ranker as a separate unit. Serve makes one object of this class in each replica."""

    async def __init__(self, config: dict[str, Any], home: str) -> None:  # type: ignore[misc]  # Serve awaits it
        """Load and warm the ranker, then run a batch of each shape on the path that calls take."""
        self._closing = ExitStack()
        pipeline = PipelineConfig.model_validate(config)
        context = serve.get_replica_context()
        replica, key = context.replica_id.unique_id, placement_of(pipeline, context.deployment).key
        with closed_on_error(self._closing) as closing:
            group = start_group(pipeline)
            load = group_runtimes(group, closing)
            parts = ReplicaParts(closing, pipeline, Path(home), key, replica, load_runtime=load)
            live = parts.live_releases(_ladders)
            self._metrics = parts.unit_metrics(live)
            self._runner: Runner[RaggedBatch] = parts.runner(live, self._metrics, _merge_of(live))
            self._service = RankerService(self._runner, live)
            await _rehearse(self._service, pipeline, live.active.release)
        super().__init__(live, replica, group)

    async def score(self, payload: bytes) -> bytes:
        """Score one packed batch, and return the packed scores."""
        return await self._service.score(payload)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Return the load and the queue length for the autoscaling policy. Serve does not see the batcher's queue."""
        return recorded(self._runner.waiting_candidates, self._metrics)

    async def __del__(self) -> None:
        """Close all parts. Serve calls this even if ``__init__`` raised."""
        self._closing.close()


def _ladders(release: Release) -> Sequence[Ladder]:
    return [Ladder.from_stage(stage) for stage in release.stages.values()]


def _merge_of(live: LiveReleases) -> Callable[[Sequence[RaggedBatch], str], RaggedBatch]:
    def merge(batches: Sequence[RaggedBatch], name: str) -> RaggedBatch:
        return joined(batches, live.get(name).release.catalogue)

    return merge


async def _rehearse(service: RankerService, config: PipelineConfig, release: Release) -> None:
    """Score a batch of every shape that this unit can get, on the path that calls take."""
    items, per_request = len(release.catalogue), config.candidates.count
    for requests in batch_shapes(config):
        batch = sample_batch(release.layout, release.view, items, requests, per_request, release.name)
        await service.rehearse(release.custom.prepare(batch))
