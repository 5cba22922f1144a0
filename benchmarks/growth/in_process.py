"""One replica's stages in this process, and the CPU that one request takes in each of them."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

import numpy as np

from models.ragged import RaggedBatch
from services.config.loading import validated
from services.config.pipeline import PipelineConfig
from services.releases.loading import load_release
from services.releases.shared_parts import SharedParts
from services.stages.base import RemoteStage
from services.stages.query import Query, merge_queries

_LEAST_RUNS, _USERS = 5, 997
_K = 10
MERGED, TOTAL = "merge and candidates", "total"


def with_changes(config: PipelineConfig, changes: Mapping[str, Mapping[str, Any] | None]) -> PipelineConfig:
    """Return the pipeline with changed fields in some sections. None removes a section or a field."""
    data = config.model_dump(mode="json")
    for section, fields in changes.items():
        changed = {} if fields is None else {**(data[section] or {}), **fields}
        data[section] = {name: value for name, value in changed.items() if value is not None} or None
    return validated(data, "growth")


class InProcess:
    """The stages of one replica, which run on this thread.

    Attributes:
        batch: the newest batch, after all stages.
    """

    batch: RaggedBatch

    def __init__(self, config: PipelineConfig, home: Path, shared: SharedParts | None = None) -> None:
        """Load the models and the data as a replica does.

        Args:
            config: the pipeline, with all stages in one unit.
            home: the data home.
            shared: the parts that it shares with other replicas in this process, such as the store.
        """
        self._release = load_release(config, home, config.units[config.ingress_unit].stages, shared)
        self._stages = [ladder.rungs[0].stage for ladder in self._release.pipeline({})]
        self._random = np.random.default_rng(0)

    def run(self, user: int | None = None) -> dict[str, float]:
        """Answer a request of a user, or of a random one. Return the CPU milliseconds by stage, and the total."""
        release = self._release
        number = int(self._random.integers(_USERS)) if user is None else user
        query = Query(b"u-%06d" % number, release.layout.encode({}), None, math.inf, 0, _K)
        clock_s = [time.thread_time()]
        batch: RaggedBatch = merge_queries(
            [query], release.name, release.layout, release.source, release.items
        )
        clock_s.append(time.thread_time())
        for stage in self._stages:
            assert not isinstance(stage, RemoteStage), "all stages are in this process"
            batch = stage(batch)
            clock_s.append(time.thread_time())
        self.batch = batch
        names = [MERGED, *(stage.name for stage in self._stages)]
        spent_ms = {name: ms for name, ms in zip(names, np.diff(clock_s) * 1e3, strict=True)}
        return spent_ms | {TOTAL: (clock_s[-1] - clock_s[0]) * 1e3}

    def cost(self, seconds: float, user: int | None = None) -> dict[str, float]:
        """Return the medians over requests that are answered for ``seconds``, after a tenth of that to warm up."""
        self._for(seconds / 10, user)
        runs = self._for(seconds, user)
        return {name: median(run[name] for run in runs) for name in runs[0]}

    def _for(self, seconds: float, user: int | None) -> list[dict[str, float]]:
        runs: list[dict[str, float]] = []
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s or len(runs) < _LEAST_RUNS:
            runs.append(self.run(user))
        return runs

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the store."""
        self._release.retire()
        self._release.close()
