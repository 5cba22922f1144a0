"""Build an ingress replica's engine with all its parts."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from services.config.pipeline import PipelineConfig
from services.config.placement import placements
from services.config.units import StageName
from services.ingress.engine import Engine
from services.logs.folder import LogFolder
from services.logs.served import ServedLog
from services.releases.live import LiveReleases
from services.releases.release import Release
from services.scheduling.executor import Memory
from services.scheduling.ladder import Ladder
from services.scheduling.response_cache import ResponseCache
from services.stages.base import AnyStage, Stage, Why
from services.stages.query import Query, merge_queries
from services.stages.scoring.turns import LoadRuntime
from services.telemetry.features import StoreMetrics
from services.telemetry.metrics import RequestMetrics
from services.telemetry.outcomes import LogMetrics, cache_lookups
from services.units.replica import ReplicaParts, closed_on_error


def build_engine(
    config: PipelineConfig,
    home: Path,
    *,
    replica: str,
    remote: Mapping[StageName, AnyStage] | None = None,
    first_stages: Sequence[Stage] = (),
    load_runtime: LoadRuntime = load_runtime,
    clock: Callable[[], float] = time.monotonic,
    closing: ExitStack | None = None,
) -> Engine:
    """Load and warm the active release, and start an ingress replica's threads.

    Call it inside a running event loop. ``Engine.close`` ends the threads.

    Args:
        config: the pipeline.
        home: the folder that the configuration's relative paths start from.
        replica: the replica's name.
        remote: the stages that other units run, or stand-ins for these stages.
        first_stages: stages that run before the pipeline's own.
        load_runtime: opens the models.
        clock: the clock of all deadlines, in seconds.
        closing: the stack that closes the replica. The parts are added to it, so they are closed before everything
            that is already on it.

    Raises:
        ConfigError, ReleaseError, ModelError: a part cannot be made. Everything on ``closing`` has been closed.
    """
    elsewhere = dict(remote or {})
    with closed_on_error(closing or ExitStack()) as stack:
        key = placements(config, config.ingress_unit)[0].key
        parts = ReplicaParts(stack, config, home, key, replica, load_runtime=load_runtime, clock=clock)

        def ladders(release: Release) -> Sequence[Ladder]:
            return [*map(Ladder.from_stage, first_stages), *release.pipeline(elsewhere)]

        live = parts.live_releases(ladders)
        requests, rows = RequestMetrics(config.name, replica), LogMetrics(config.name, replica)
        lookups, stores = cache_lookups(config.name, replica), parts.shared.stores
        store = StoreMetrics(key.unit, replica, lambda: stores.left_alone)
        metrics = parts.unit_metrics(live, [requests, store, rows, lookups])
        log: ServedLog | None = None
        if config.log is not None:
            log = ServedLog(config.log, LogFolder.at(config.log.path, home, field="log.path"), rows)
            stack.callback(log.close)
        cache: ResponseCache | None = None
        if config.response_cache is not None:
            with_features = config.log is not None
            cache = ResponseCache(config.response_cache, lookups, clock, with_features=with_features)
        runner = parts.runner(
            live,
            metrics,
            _merge_of(live),
            memory=None if live.active.release.memory is None else _memory_of(live),
            horizon_s=config.requests.default_deadline_ms / 1e3,
        )
        return Engine(
            config,
            live=live,
            runner=runner,
            metrics=metrics,
            request_metrics=requests,
            log=log,
            cache=cache,
            other_units=sorted({config.unit_of(stage) for stage in elsewhere}),
            clock=clock,
            closing=stack,
        )


def _merge_of(live: LiveReleases) -> Callable[[Sequence[Query], str], RaggedBatch]:
    def merge(queries: Sequence[Query], name: str) -> RaggedBatch:
        release = live.get(name).release
        return merge_queries(queries, name, release.layout, release.source, release.items)

    return merge


def _memory_of(live: LiveReleases) -> Memory[Query]:
    def answer(queries: Sequence[Query], name: str, why: Why) -> RaggedBatch:
        memory = live.get(name).release.memory
        assert memory is not None, "releases differ in their data, not in the pipeline's fallbacks"
        return memory(queries, name, why)

    return answer
