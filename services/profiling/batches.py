"""Time a unit's batches in this process, by request count and candidate count.

A batch does the same work as on a replica's model thread: it merges queries, reads features and runs models. Batches
start on a schedule that keeps the process busy half the time. If they ran back to back, caches would be warmer than in
a service.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from autoscale.profiles import Timing
from models.ragged import RaggedBatch
from services.config.pipeline import PipelineConfig
from services.config.units import StageName
from services.profiling.sample_requests import SampleRequests
from services.releases.loading import load_release
from services.stages.base import AnyStage, RemoteStage, Stage
from services.stages.query import Query, merge_queries
from services.wire import pack, pack_batch, unpack_batch

_USERS = 997
_LOAD = 0.5
_WARM_UPS = 3
_MOST_RUNS, _LEAST_RUNS = 200, 10
_K = 10


class _RemoteRanker:
    """Stands in for a ranker in another unit. Its scores are random."""

    name = "ranker"

    def __init__(self) -> None:
        self._random = np.random.default_rng(1)

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        scores = self._random.random(batch.candidate_count, dtype=np.float32)
        return batch.adding(candidates={"score": scores, "ranker": scores})


class UnitBatches:
    """Makes batches for one unit in a pipeline, each with different requests. ``close`` releases the store."""

    def __init__(self, config: PipelineConfig, home: Path, unit: str) -> None:
        """Load the unit's stages, and the stages that make its input.

        Raises:
            ConfigError, ModelError: the pipeline's data or a model are missing or invalid.
        """
        self._config, self._sample = config, SampleRequests.of(config, home)
        self._is_ingress = unit == config.ingress_unit
        stages = config.units[unit].stages
        self._release = load_release(config, home, stages if self._is_ingress else ("features",))
        self._ranker: Stage | None = None
        if not self._is_ingress:
            self._ranker = load_release(config, home, stages).stages["ranker"]
        remote_stages: dict[StageName, AnyStage] = {}
        if config.ranker_unit != unit:
            remote_stages["ranker"] = _RemoteRanker()
        ladders = self._release.pipeline(remote_stages) if self._is_ingress else []
        self._stages = [ladder.rungs[0].stage for ladder in ladders]
        self._random = np.random.default_rng(0)

    def sizes(self, max_candidates: int) -> list[tuple[int, int]]:
        """Return the sizes to measure, as (requests, candidates).

        There are two sizes for each candidate count: requests with the usual count of candidates, and four times as
        many smaller requests.
        """
        count = self._config.candidates.count
        most = max(1, max_candidates // count)
        totals = sorted({*(count << power for power in range(most.bit_length())), most * count})
        sizes = {(max(1, total // count), total) for total in totals if total <= most * count}
        small = max(1, count // 4)
        sizes |= {(total // small, total // small * small) for _, total in sizes} | {(1, small)}
        return sorted(sizes, key=lambda size: (size[1], size[0]))

    def job(self, requests: int, candidates: int) -> Callable[[], object]:
        """Return a function that runs one batch.

        Args:
            requests: the request count.
            candidates: the candidate count. It is divided equally among the requests.
        """
        candidates_each = candidates // requests
        catalogue = self._release.catalogue
        queries = [
            Query(
                user_key=b"u-%06d" % user,
                context=self._release.layout.encode(self._sample.context(user)),
                rows=None
                if candidates_each == self._config.candidates.count
                else self._random.integers(0, len(catalogue), candidates_each),
                deadline_s=math.inf,
                priority=0,
                k=_K,
            )
            for user in self._random.integers(0, _USERS, requests).tolist()
        ]
        if self._is_ingress:
            return lambda: self._run(queries)
        merged = merge_queries(
            queries, self._release.name, self._release.layout, self._release.source, self._release.items
        )
        payload = pack_batch(self._release.custom.prepare(self._release.stages["features"](merged)))
        return lambda: self._score(payload)

    def fallback_us_per_candidate(self, candidates: int) -> float:
        """Return the time of the ranker's fallback model, in µs per candidate. It is 0 if there is no fallback."""
        fallbacks = self._release.fallbacks.get("ranker", ()) if self._is_ingress else ()
        if not fallbacks:
            return 0.0
        count = self._config.candidates.count
        queries = [Query(b"", self._release.layout.encode({}), None, math.inf, 0, _K)] * (candidates // count)
        merged = merge_queries(
            queries, self._release.name, self._release.layout, self._release.source, self._release.items
        )
        batch = self._release.custom.prepare(self._release.stages["features"](merged))
        _, stage = fallbacks[0]
        return median_s(lambda: stage(batch)) / batch.candidate_count * 1e6

    def close(self) -> None:
        """Release the store."""
        self._release.retire()
        self._release.close()

    def _merged(self, queries: Sequence[Query]) -> RaggedBatch:
        release = self._release
        return merge_queries(queries, release.name, release.layout, release.source, release.items)

    def _run(self, queries: Sequence[Query]) -> RaggedBatch:
        batch = merge_queries(
            queries, self._release.name, self._release.layout, self._release.source, self._release.items
        )
        for stage in self._stages:
            assert not isinstance(stage, RemoteStage)
            batch = stage(batch)
        return batch

    def _score(self, payload: bytes) -> bytes:
        assert self._ranker is not None
        batch = self._ranker(RaggedBatch.concatenate([unpack_batch(payload)]))
        return pack({"score": batch.candidates["score"]})


def measure_batches(batches: UnitBatches, max_candidates: int, seconds: float) -> list[Timing]:
    """Time batches of all sizes, for about ``seconds`` in total."""
    sizes = batches.sizes(max_candidates)
    return [_timing(batches, *size, seconds / len(sizes)) for size in sizes]


def median_s(run: Callable[[], object]) -> float:
    """Return the median time in seconds of nine calls, after a warm-up."""
    times_s = []
    for _ in range(_WARM_UPS + 9):
        started_s = time.perf_counter()
        run()
        times_s.append(time.perf_counter() - started_s)
    return float(np.median(times_s[_WARM_UPS:]))


def _timing(batches: UnitBatches, requests: int, candidates: int, seconds: float) -> Timing:
    for _ in range(_WARM_UPS):
        batches.job(requests, candidates)()
    expected_s = median_s(batches.job(requests, candidates))
    runs = min(_MOST_RUNS, max(_LEAST_RUNS, int(seconds * _LOAD / expected_s)))
    due_s = time.perf_counter() + np.cumsum(np.full(runs, expected_s / _LOAD))
    times_s = np.empty(runs)
    for index in range(runs):
        job = batches.job(requests, candidates)
        time.sleep(max(0.0, due_s[index] - time.perf_counter()))
        started_s = time.perf_counter()
        job()
        times_s[index] = time.perf_counter() - started_s
    p50_ms, p99_ms = np.percentile(times_s, [50, 99]) * 1e3
    return Timing(
        requests=requests,
        candidates=candidates,
        p50_ms=round(float(p50_ms), 4),
        p99_ms=round(float(p99_ms), 4),
        mean_ms=round(float(times_s.mean()) * 1e3, 4),
        runs=runs,
    )
