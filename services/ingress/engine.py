"""The engine turns a typed request into a typed answer. It knows nothing about HTTP."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import msgspec

from services.config.pipeline import PipelineConfig
from services.ingress.limits import check_limits
from services.ingress.rehearsal import Rehearsal
from services.ingress.response import rank_response
from services.ingress.schema import RankRequest, RankResponse, read_urgency
from services.logs.served import ServedLog
from services.releases.live import LiveReleases
from services.releases.release import LiveRelease, Release
from services.releases.warmup import batch_shapes
from services.scheduling.job import Answer
from services.scheduling.response_cache import ResponseCache, key_of
from services.scheduling.runner import Runner
from services.scheduling.waiter import Waiter
from services.scheduling.work import Work
from services.stages.query import Query, named_candidates
from services.telemetry.metrics import RequestMetrics, UnitMetrics

_REHEARSED = RankRequest("")


class Admitted(msgspec.Struct):
    """A request that has passed all checks. ``Engine.respond`` or ``Engine.leave`` must follow.

    Attributes:
        loaded: the release that the request uses, which is not unloaded meanwhile.
        release: its data at the time of the admission. A later delta replaces the data of ``loaded``.
    """

    request: RankRequest
    request_id: str
    loaded: LiveRelease
    release: Release
    work: Work[Query]


class Engine:
    """The path from a request to its answer in one ingress replica."""

    def __init__(
        self,
        config: PipelineConfig,
        *,
        live: LiveReleases,
        runner: Runner[Query],
        metrics: UnitMetrics,
        request_metrics: RequestMetrics,
        closing: ExitStack,
        log: ServedLog | None = None,
        cache: ResponseCache | None = None,
        other_units: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Answer requests with the parts that ``services.units.ingress_replica`` has built.

        Args:
            config: the pipeline.
            live: the loaded releases.
            runner: runs the unit's stages over batches.
            metrics: the unit's metrics.
            request_metrics: the metrics of HTTP requests.
            closing: closes the parts.
            log: the served log, if the pipeline has one.
            cache: the response cache, if the pipeline has one.
            other_units: the other units that run stages of the pipeline.
            clock: the clock of all deadlines, in seconds.
        """
        self.config, self.live, self.runner = config, live, runner
        self.metrics, self.request_metrics = metrics, request_metrics
        self.log, self._cache, self._clock = log, cache, clock
        self._closing = closing
        self.rehearsal = Rehearsal(
            self._rehearse,
            shapes=batch_shapes(config),
            rungs=max(len(ladder.rungs) for ladder in live.active.ladders),
            other_units=other_units,
        )
        closing.callback(self.rehearsal.close)

    @property
    def has_cache(self) -> bool:
        """Whether the pipeline has a response cache."""
        return self._cache is not None

    @property
    def release(self) -> Release:
        """The release that new requests get."""
        return self.live.active.release

    async def rehearse(self) -> None:
        """Run every batch shape on the path of requests, as described at ``Rehearsal.start``."""
        await self.rehearsal.start()

    async def rank(
        self, request: RankRequest, request_id: str, *, is_abandoned: Callable[[], bool] | None = None
    ) -> RankResponse:
        """Answer one request.

        Raises:
            Unprocessable: a value is out of range or unknown.
            Overloaded: the request cannot be answered in time.
            StageFailed: a stage raised.
        """
        admitted = self.admit(request, request_id, is_abandoned)
        try:
            answer = await self._answered(admitted)
        except BaseException:
            self.leave(admitted)
            raise
        return self.respond(admitted, answer)

    def admit(
        self, request: RankRequest, request_id: str, is_abandoned: Callable[[], bool] | None = None
    ) -> Admitted:
        """Check a request, and let it use the active release.

        Raises:
            Unprocessable: a value is out of range or unknown.
        """
        loaded = self.live.enter()
        try:
            release = loaded.release
            return Admitted(request, request_id, loaded, release, self._work(request, release, is_abandoned))
        except BaseException:
            self.live.leave(loaded)
            raise

    def begin(self, admitted: Admitted, waiter: Waiter) -> None:
        """Queue a request. The waiter gets its answer or error later. Not for pipelines with a cache.

        Raises:
            Overloaded: the request cannot be answered in time. The waiter gets nothing.
        """
        self.runner.begin(admitted.work, waiter)

    def respond(self, admitted: Admitted, answer: Answer) -> RankResponse:
        """Log the answer to a request, return it as a response, and stop using the release."""
        work, loaded, release = admitted.work, admitted.loaded, admitted.release
        try:
            if self.log is not None:
                # The candidates may have been found after a delta. A row stands for the same item in every state.
                keys = loaded.release.catalogue.keys
                user_id, sent = admitted.request.user_id, work.payload.sent
                self.log.shown(answer, admitted.request_id, user_id, release.definitions, keys, sent)
            new_ids = work.payload.new_ids
            return rank_response(admitted.request, admitted.request_id, answer, release, new_ids=new_ids)
        finally:
            self.live.leave(loaded)

    def leave(self, admitted: Admitted) -> None:
        """Stop using the release of a request that gets no answer."""
        self.live.leave(admitted.loaded)

    def shed(self, body: bytes) -> None:
        """Refuse a body without parsing it, if the queue alone shows that the answer would be late.

        Only a queue that has refused a request recently is examined. A pipeline with a cache does not refuse here:
        the answer may be in the cache.

        Raises:
            DeadlinePassed: the answer would be late.
        """
        if self.has_cache or not self.runner.queue.has_refused_recently:
            return
        urgency, caps = read_urgency(body), self.config.requests
        if urgency is None:
            return
        deadline_ms = urgency.deadline_ms or caps.default_deadline_ms
        if deadline_ms > caps.max_deadline_ms or urgency.priority > caps.max_priority:
            return  # parsing reports the error
        refused = self.runner.refusal(urgency.priority, self._clock() + deadline_ms / 1e3)
        if refused is not None:
            # The body is not parsed, so its candidates are unknown. The mean of earlier requests is counted.
            requests = self.metrics.arrived_requests
            mean = self.metrics.arrived_candidates / requests if requests else self.config.candidates.count
            self.metrics.arrived(1, round(mean))
            self.metrics.shed(1)
            raise refused

    def close(self) -> None:
        """Close all parts of the replica, in reverse order of their creation. A second call does nothing."""
        self._closing.close()

    def _work(
        self, request: RankRequest, release: Release, is_abandoned: Callable[[], bool] | None
    ) -> "Work[Query]":
        config = self.config
        check_limits(request, config.requests)
        named, rows, sent = request.candidates, None, None
        if named is not None:
            rows, sent = named_candidates(
                named, release.catalogue, release.items, config.candidates.max_count
            )
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
            sent=sent,
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

    async def _answered(self, admitted: Admitted) -> Answer:
        request, work = admitted.request, admitted.work
        if self._cache is None or work.payload.sent is not None:
            return await self.runner.submit(work)
        key = key_of(work.payload, work.release, admitted.release.data_in_use)
        urgency = (request.deadline_ms, request.priority)
        return await self._cache.answer(
            key, work.deadline_s, lambda: self.runner.submit(work), urgency=urgency
        )

    async def _rehearse(self, requests: int, rung: int) -> None:
        """Run one batch of requests from an unknown user, and build their responses."""
        loaded = self.live.enter()
        try:
            release, limits, now_s = loaded.release, self.config.requests, self._clock()
            # Another unit uses this deadline for the call's place in its queue. Here the batch starts at once and has
            # no time limit.
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
                rank_response(_REHEARSED, "", answer, release)
        finally:
            self.live.leave(loaded)
