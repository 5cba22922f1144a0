"""The parts of a replica, in any unit. They are made in one order and closed in the reverse order.

The order is: releases, traffic log and metrics, the parts that only this unit has, and last the runner. A replica that
stops therefore first ends its batches, then writes their log rows and metrics, and closes its releases last.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from autoscale.spec import Key
from models.features.deltas.delta import number_of
from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from services.config.instances import model_threads, refuse_instances
from services.config.pipeline import PipelineConfig
from services.logs.traffic import TrafficLog
from services.releases.delta_watch import DeltaWatch
from services.releases.live import LiveReleases
from services.releases.loading import grown_release_steps, live_release_steps
from services.releases.release import LiveRelease, Release
from services.releases.shared_parts import SharedParts
from services.releases.steps import Steps
from services.scheduling.executor import Memory
from services.scheduling.ladder import Ladder
from services.scheduling.runner import Runner
from services.sharding.group import ShardGroup
from services.stages.scoring.turns import LoadRuntime
from services.telemetry.features import ReleaseMetrics, RowMetrics
from services.telemetry.flusher import Flusher, Noted
from services.telemetry.metrics import UnitMetrics
from services.telemetry.outcomes import history_lookups

Payload = TypeVar("Payload")


@contextmanager
def closed_on_error(closing: ExitStack) -> Iterator[ExitStack]:
    """Close ``closing`` if the block raises. Otherwise the caller closes it."""
    try:
        yield closing
    except BaseException:
        closing.close()
        raise


def group_runtimes(group: ShardGroup | None, closing: ExitStack) -> LoadRuntime:
    """Return the function that opens models.

    Args:
        group: the shard group that opens sharded models in all its ranks. With None, this process opens all models.
        closing: the stack that ends the ranks.
    """
    if group is None:
        return load_runtime
    closing.callback(group.close)
    return group.load_runtime


class ReplicaParts:
    """Makes a replica's parts, and adds each part to the stack that closes the replica.

    Attributes:
        rows: counts stored rows that cannot be read.
        shared: the stores, catalogues and models that the replica's releases share.
    """

    def __init__(
        self,
        closing: ExitStack,
        config: PipelineConfig,
        home: Path,
        key: Key,
        name: str,
        *,
        load_runtime: LoadRuntime = load_runtime,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to make the parts.

        Args:
            closing: closes the parts, the newest first.
            config: the pipeline.
            home: the folder that the configuration's relative paths start from.
            key: the replica's unit and pool.
            name: the replica's name.
            load_runtime: opens the models.
            clock: the clock of all deadlines, in seconds.

        Raises:
            ConfigError: a model cannot have as many instances as configured.
        """
        self._closing, self._config, self._home = closing, config, home
        self._key, self._name, self._clock = key, name, clock
        self._histories = history_lookups(config.name, name)
        self.rows = RowMetrics(key.unit, name)
        refuse_instances(config, key.unit)
        threads = model_threads(config, key.unit)
        self.shared = SharedParts(load_runtime, self.rows, self._histories, threads)

    def live_releases(self, ladders: Callable[[Release], Sequence[Ladder]]) -> LiveReleases:
        """Load and warm the active release.

        Args:
            ladders: returns the ladders that this unit runs in a release.

        Raises:
            ReleaseError: the active release's files have changed since it was staged.
            ConfigError, ModelError: the active release cannot be loaded.
        """
        config = self._config

        def load(config: PipelineConfig) -> Steps[LiveRelease]:
            stages = config.units[self._key.unit].stages
            return live_release_steps(config, self._home, stages, self.shared, ladders)

        def grow(release: Release) -> Steps[LiveRelease]:
            stages = release.config.units[self._key.unit].stages
            return grown_release_steps(release, self._home, stages, self.shared, ladders)

        live = LiveReleases(config, self._home, load, grow)
        self._closing.callback(live.close)
        is_remote = config.ranker_unit not in (config.ingress_unit, self._key.unit)
        refresh_s = config.features.refresh_s
        watch = DeltaWatch(live, refresh_s, self.rows, settle_s=2 * refresh_s + 1.0 if is_remote else 0.0)
        self._closing.callback(watch.close)
        return live

    def unit_metrics(self, live: LiveReleases, others: Sequence[Noted] = ()) -> UnitMetrics:
        """Open the traffic log if traffic is recorded, and start the thread that sends metrics to Ray.

        Args:
            live: the replica's releases. A metric reports whether the last load failed.
            others: further metrics of this replica for the same thread.
        """
        config, key, name = self._config, self._key, self._name
        traffic: TrafficLog | None = None
        if config.record is not None:
            traffic = TrafficLog(config.record, self._home, config.model_dump_json(), name)
            self._closing.callback(traffic.close)
        metrics = UnitMetrics(key.unit, name, key.pool, traffic)
        releases = ReleaseMetrics(
            config.name,
            key.unit,
            name,
            has_failed=lambda: live.failed is not None,
            deltas=lambda: number_of(live.active.release.catalogue.state),
        )
        flusher = Flusher([metrics, releases, self.rows, self._histories, *others])
        self._closing.callback(flusher.close)
        return metrics

    def runner(
        self,
        live: LiveReleases,
        metrics: UnitMetrics,
        merge: Callable[[Sequence[Payload], str], RaggedBatch],
        *,
        memory: "Memory[Payload] | None" = None,
        horizon_s: float = float("inf"),
    ) -> "Runner[Payload]":
        """Start the model threads.

        Args:
            live: the replica's releases.
            metrics: the unit's metrics.
            merge: as for ``Runner``.
            memory: as for ``Runner``.
            horizon_s: as for ``Runner``.
        """
        unit = self._config.units[self._key.unit]
        runner = Runner(
            merge=merge,
            ladders_of=lambda release: live.get(release).ladders,
            batching=unit.batching,
            max_in_flight=unit.max_calls_in_flight,
            threads=self.shared.model_threads,
            metrics=metrics,
            memory=memory,
            horizon_s=horizon_s,
            clock=self._clock,
        )
        self._closing.callback(runner.close)
        return runner
