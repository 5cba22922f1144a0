"""The engine of an ingress: a typed request in, a typed answer out; no HTTP here."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from services.config.pipeline import PipelineConfig
from services.config.placement import placements
from services.config.units import StageName
from services.errors import NotFound, Unprocessable
from services.ingress.feedback import FeedbackRequest
from services.ingress.limits import check_limits
from services.ingress.rehearsal import Rehearsal
from services.ingress.schema import RankedItem, RankRequest, RankResponse, read_urgency
from services.logs.served import ServedLog
from services.logs.traffic import TrafficLog
from services.logs.writer import LogFolder
from services.releases.live import LiveReleases, Loaded
from services.releases.release import Release
from services.releases.shared_parts import SharedParts
from services.releases.throttle import Rest
from services.releases.warmup import batch_shapes, warm
from services.scheduling.batcher import Work
from services.scheduling.job import Answer
from services.scheduling.ladder import Why
from services.scheduling.response_cache import ResponseCache, key_of
from services.scheduling.runner import Runner
from services.stages.base import AnyStage
from services.stages.model_slot import LoadRuntime
from services.stages.query import Query, merge_queries, rows_of_ids
from services.telemetry.metrics import (
    Flusher,
    LogMetrics,
    Noted,
    ReleaseMetrics,
    RequestMetrics,
    RowMetrics,
    StoreMetrics,
    UnitMetrics,
    cache_lookups,
    history_lookups,
)

_EXPLAINED = ("ranker", "reranker")
_REHEARSED = RankRequest("")


class Engine:
    """One ingress replica: its release, its runner, and the way from request to answer."""

    def __init__(
        self,
        config: PipelineConfig,
        home: Path,
        *,
        replica: str,
        remote: Mapping[StageName, AnyStage] | None = None,
        load_runtime: LoadRuntime = load_runtime,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Load the release, warm every shape bucket and start the model thread.

        remote: the stages that other units run, or that stand in their place. load_runtime: opens the models. Call
        inside a running event loop.
        """
        unit = config.ingress_unit
        pool = placements(config, unit)[0].key.pool
        self.config = config
        self._clock = clock
        self._home, self._remote = home, dict(remote or {})
        self._row_metrics, self._shared = RowMetrics(unit, replica), SharedParts(load_runtime)
        self._histories = history_lookups(config.name, replica)
        self.live = LiveReleases(config, home, self._load)
        self._traffic: TrafficLog | None = None
        if config.record is not None:
            self._traffic = TrafficLog(config.record, home, config.model_dump_json(), replica)
        self.metrics = UnitMetrics(unit, replica, pool, self._traffic)
        self.request_metrics = RequestMetrics(config.name, replica)
        self.runner: Runner[Query] = Runner(
            merge=self._merge,
            ladders_of=lambda release: self.live.of(release).ladders,
            batching=config.units[unit].batching,
            max_in_flight=config.units[unit].max_calls_in_flight,
            metrics=self.metrics,
            memory=None if self.release.memory is None else self._from_memory,
            horizon_s=config.requests.default_deadline_ms / 1e3,
            clock=clock,
        )
        self.rehearsal = Rehearsal(
            self._rehearse,
            shapes=batch_shapes(config),
            rungs=max(len(ladder.rungs) for ladder in self.live.active.ladders),
            other_units=sorted({config.unit_of(stage) for stage in self._remote}),
        )
        log_metrics = LogMetrics(config.name, replica)
        self.log: ServedLog | None = None
        if config.log is not None:
            self.log = ServedLog(config.log, LogFolder.of(config.log, home), log_metrics)
        lookups = cache_lookups(config.name, replica)
        self._cache: ResponseCache | None = None
        if config.response_cache is not None:
            with_features = config.log is not None
            self._cache = ResponseCache(config.response_cache, lookups, clock, with_features=with_features)
        told: list[Noted] = [
            self.metrics,
            self.request_metrics,
            self._row_metrics,
            StoreMetrics(unit, replica, lambda: self._shared.stores.left_alone),
            ReleaseMetrics(config.name, unit, replica, lambda: self.live.failed is not None),
            log_metrics,
            lookups,
            self._histories,
        ]
        self._flusher = Flusher(told)

    async def rehearse(self) -> None:
        """Run every batch shape on the path of a request, as ``Rehearsal.start``."""
        await self.rehearsal.start()

    async def _rehearse(self, requests: int, rung: int) -> None:
        """Run one batch of requests of an unknown user, and make their answers."""
        loaded = self.live.enter()
        try:
            release, limits, now_s = loaded.release, self.config.requests, self._clock()
            # Another unit queues the call by this deadline. Here the batch goes at once, and waits without limit.
            deadline_s = now_s + limits.default_deadline_ms / 1e3
            queries = [
                Query(b"", release.layout.sample(), None, deadline_s, 0, limits.max_k)
                for _ in range(requests)
            ]
            works = [
                Work(query, self.config.candidates.count, 1, math.inf, 0, release.name, now_s)
                for query in queries
            ]
            for answer in await self.runner.rehearse(works, rung):
                self._respond(_REHEARSED, "", answer, release)
        finally:
            self.live.leave(loaded)

    async def rank(
        self, request: RankRequest, request_id: str, *, is_abandoned: Callable[[], bool] | None = None
    ) -> RankResponse:
        """Answer one request.

        Raises:
            Unprocessable: a value is out of range or unknown. Overloaded: it cannot be answered in time.
            StageFailed: a stage raised.
        """
        loaded = self.live.enter()
        try:
            release = loaded.release
            work = self._admit(request, release, is_abandoned)
            answer = await self._answered(request, work, release)
            if self.log is not None:
                keys = release.catalogue.keys
                self.log.shown(answer, request_id, request.user_id, release.definitions, keys)
            return self._respond(request, request_id, answer, release)
        finally:
            self.live.leave(loaded)

    def shed(self, body: bytes) -> None:
        """Refuse a body, unparsed, while the queue alone says that its answer would be late.

        Raises:
            DeadlinePassed: it would. A pipeline with a cache refuses later: the answer may lie there.
        """
        unit = self.config.units[self.config.ingress_unit]
        if self._cache is not None or self.runner.waiting_candidates < unit.batching.max_candidates:
            return
        urgency, caps = read_urgency(body), self.config.requests
        if urgency is None:
            return
        deadline_ms = urgency.deadline_ms or caps.default_deadline_ms
        if deadline_ms > caps.max_deadline_ms or urgency.priority > caps.max_priority:
            return  # parsing says better what is wrong
        refused = self.runner.refusal(urgency.priority, self._clock() + deadline_ms / 1e3)
        if refused is not None:
            # Unread, so it counts as the mean of those before.
            requests = self.metrics.arrived_requests
            mean = self.metrics.arrived_candidates / requests if requests else self.config.candidates.count
            self.metrics.arrived(1, round(mean))
            self.metrics.shed(1)
            raise refused

    @property
    def release(self) -> Release:
        """The release that new requests get."""
        return self.live.active.release

    def feedback(self, feedback: FeedbackRequest) -> None:
        """Log what a user did with an item of an answered list.

        Raises:
            NotFound: this pipeline keeps no log. Unprocessable: the item is unknown. QueueFull: the log is behind.
        """
        if self.log is None:
            raise NotFound("this pipeline keeps no log of feedback: add log to its YAML", field="path")
        row = self.release.catalogue.row_by_id.get(feedback.item_id)
        if row is None:
            raise Unprocessable(
                f"item {feedback.item_id[:80]!r} is not in catalogue {self.release.catalogue.manifest.name}: "
                f"send the id of an item that was answered",
                field="item_id",
            )
        key = int(self.release.catalogue.keys[row])
        value = 1.0 if feedback.value is None else feedback.value
        self.log.feedback(feedback.request_id, key, feedback.event, value)

    def item_row(self, item_id: str) -> int:
        """Give the item's catalogue row.

        Raises:
            NotFound: the catalogue has no such item.
        """
        row = self.release.catalogue.row_by_id.get(item_id)
        if row is None:
            raise NotFound(
                f"item {item_id[:80]!r} is not in catalogue {self.release.catalogue.manifest.name}: "
                f"send the id of one of its items",
                field="id",
            )
        return row

    def close(self) -> None:
        """Stop the threads and let go of the store."""
        self.rehearsal.close()
        self.runner.close()
        if self.log is not None:
            self.log.close()
        if self._traffic is not None:
            self._traffic.close()
        self._flusher.close()
        self.live.close()

    def _load(self, config: PipelineConfig, rest: Rest) -> Loaded:
        stages = config.units[config.ingress_unit].stages
        release = Release(config, self._home, stages, self._row_metrics, self._shared, self._histories, rest)
        try:
            ladders = release.pipeline(dict(self._remote))
            warm(release, config, ladders, rest)
        except BaseException:
            release.retire()
            raise
        return Loaded(release, ladders)

    def _admit(
        self, request: RankRequest, release: Release, is_abandoned: Callable[[], bool] | None
    ) -> "Work[Query]":
        config = self.config
        check_limits(request, config.requests)
        ids = request.candidates
        rows = None if ids is None else rows_of_ids(ids, release.catalogue, config.candidates.max_count)
        now_s = self._clock()
        deadline_ms = request.deadline_ms or config.requests.default_deadline_ms
        deadline_s = now_s + deadline_ms / 1e3
        query = Query(
            user_key=request.user_id.encode(),
            context=release.layout.encode(request.context),
            rows=rows,
            deadline_s=deadline_s,
            priority=request.priority,
            k=request.k,
        )
        return Work(
            payload=query,
            candidate_count=config.candidates.count if rows is None else len(rows),
            request_count=1,
            deadline_s=deadline_s,
            priority=request.priority,
            release=release.name,
            arrived_s=now_s,
            is_abandoned=is_abandoned,
        )

    async def _answered(self, request: RankRequest, work: "Work[Query]", release: Release) -> Answer:
        if self._cache is None:
            return await self.runner.submit(work)
        key = key_of(work.payload, work.release, release.taken)
        urgency = (request.deadline_ms, request.priority)
        return await self._cache.answer(
            key, work.deadline_s, lambda: self.runner.submit(work), urgency=urgency
        )

    def _merge(self, queries: Sequence[Query], release: str) -> RaggedBatch:
        of = self.live.of(release).release
        return merge_queries(queries, release, of.layout, of.source)

    def _from_memory(self, queries: Sequence[Query], release: str, why: Why) -> RaggedBatch:
        memory = self.live.of(release).release.memory
        assert memory is not None, "releases differ in their data, not in the pipeline's fallbacks"
        return memory(queries, release, why)

    def _respond(
        self, request: RankRequest, request_id: str, answer: Answer, release: Release
    ) -> RankResponse:
        batch = answer.batch
        first = int(batch.offsets[answer.first])
        last = int(batch.offsets[answer.first + 1])
        ids = release.catalogue.ids
        rows, scores = batch.rows[first:last].tolist(), batch.candidates["score"][first:last].tolist()
        items = [RankedItem(ids[row], score) for row, score in zip(rows, scores, strict=True)]
        if request.explain:
            columns = {name: batch.candidates[name] for name in _EXPLAINED if name in batch.candidates}
            for place, item in enumerate(items, first):
                item.scores = {name: float(column[place]) for name, column in columns.items()}
        timings_ms = {"queue": answer.queued_ms, **answer.timings_ms}
        degraded = ",".join(batch.missed_by(answer.first)) or None
        return RankResponse(
            request_id,
            items,
            release.versions,
            degraded,
            {name: round(ms, 3) for name, ms in timings_ms.items()},
        )
