"""Metrics in Ray's Prometheus export.

    rankway_requests_total{pipeline, status, route}  answers by HTTP status and route; "unknown" without a route
    rankway_degraded_total{pipeline, reason}       degraded answers
    rankway_request_latency_ms{pipeline}           histogram: time in the replica, from body to answer
    rankway_candidates_waiting{unit, pool}         gauge
    rankway_candidates_arrived_total{unit, pool}   counter
    rankway_candidates_served_total{unit, pool}    counter
    rankway_requests_shed_total{unit, pool}        refused, or given to the fallback
    rankway_requests_missed_total{unit, pool}      ingress only: after the objective, or shed because time ran out
    rankway_batch_candidates{unit, pool}           histogram
    rankway_stage_latency_ms{unit, pool, stage}    histogram, per batch
    rankway_unreadable_rows_total{unit, group}     stored rows: damaged, or written with other definitions
    rankway_store_left_alone{unit}                 gauge: feature store servers whose circuit breaker is not closed
    rankway_release_failed{pipeline, unit}         gauge: 1 while the release requested last cannot be loaded
    rankway_log_rows_total{pipeline, kind}         served log rows that are in files
    rankway_log_dropped_rows_total{pipeline, reason}
    rankway_refreshes_total{unit, folder, outcome} overlays and live item features, taken or refused
    rankway_response_cache_total{pipeline, result} hit, miss, shared with an identical request, evicted
    rankway_history_cache_total{pipeline, result}  hit, miss, evicted

All series also have the label ``replica``. Histograms are described in ``services.telemetry.histogram``.

A call into Ray releases the GIL. If the event loop makes the call, the model thread then takes the GIL, and the call
takes 30 µs instead of 3. So the event loop only takes notes, and a thread passes them to Ray twice per second. Outside
a Ray process the same calls have no effect.
"""

from collections import Counter as Tally
from collections import deque
from typing import Literal, Protocol

from ray.util import metrics

from services.telemetry.counter import drain
from services.telemetry.histogram import Histogram

_LATENCY_MS: list[float] = [0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 500, 1000]
_CANDIDATES: list[float] = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096]


class Traffic(Protocol):
    """Records the events in a unit, as the traffic log does."""

    def note(
        self,
        kind: Literal["arrival", "shed", "batch"],
        unit: str,
        pool: str,
        requests: int,
        candidates: int = 0,
        milliseconds: float = 0.0,
    ) -> None:
        """Record an event with the current time, without waiting.

        ``milliseconds`` is a batch's time in all stages.
        """
        ...


class UnitMetrics:
    """Metrics that a unit's runner reports, and counts since the start. The counts never fall."""

    def __init__(self, unit: str, replica: str, pool: str = "local", traffic: Traffic | None = None) -> None:
        """Declare the unit's series. Arrivals, refusals and batches are also recorded in ``traffic``."""
        self._unit, self._pool, self._traffic = unit, pool, traffic
        keys = ("unit", "pool", "replica")
        tags = {"unit": unit, "pool": pool, "replica": replica}
        self._waiting = metrics.Gauge("rankway_candidates_waiting", "Candidates in the queue.", keys)
        self._arrived = metrics.Counter(
            "rankway_candidates_arrived_total", "Candidates to score in arriving requests.", keys
        )
        self._served = metrics.Counter("rankway_candidates_served_total", "Candidates scored.", keys)
        self._shed = metrics.Counter(
            "rankway_requests_shed_total",
            "Requests refused, or answered by a lower rung of the fallback ladder.",
            keys,
        )
        self._missed = metrics.Counter(
            "rankway_requests_missed_total",
            "Requests answered after the objective, or shed for lack of time.",
            keys,
        )
        self._batch = Histogram("rankway_batch_candidates", "Candidates per batch.", _CANDIDATES, labels=tags)
        self._stage = Histogram(
            "rankway_stage_latency_ms",
            "Time of a stage per batch.",
            _LATENCY_MS,
            labels=tags,
            more=("stage",),
        )
        for series in (self._waiting, self._arrived, self._served, self._shed, self._missed):
            series.set_default_tags(tags)
        self._batches: deque[tuple[int, dict[str, float]]] = deque()
        self._waiting_candidates = 0
        self._flushed = (0, 0, 0)
        self.batch_count = 0
        self.candidate_count = 0
        self.arrived_requests = 0
        self.arrived_candidates = 0
        self.shed_requests = 0
        self.missed_requests = 0
        self.stage_ms: dict[str, float] = {}

    def arrived(self, requests: int, candidates: int) -> None:
        """Record arriving requests and candidates, before any request is refused."""
        self.arrived_requests += requests
        self.arrived_candidates += candidates
        if self._traffic is not None:
            self._traffic.note("arrival", self._unit, self._pool, requests, candidates)

    def shed(self, requests: int) -> None:
        """Record requests that were refused, or got a degraded answer."""
        self.shed_requests += requests
        if self._traffic is not None:
            self._traffic.note("shed", self._unit, self._pool, requests)

    def missed(self, requests: int) -> None:
        """Record requests that more replicas might have answered completely and within the objective."""
        self.missed_requests += requests

    def batch_done(self, requests: int, candidates: int, timings_ms: dict[str, float]) -> None:
        """Record a finished batch. ``stage_ms`` then has each stage's time in its last run."""
        self.stage_ms.update(timings_ms)
        self.batch_count += 1
        self.candidate_count += candidates
        self._batches.append((candidates, timings_ms))
        if self._traffic is not None:
            total_ms = sum(timings_ms.values())
            self._traffic.note("batch", self._unit, self._pool, requests, candidates, total_ms)

    def queue(self, waiting_candidates: int) -> None:
        """Record the queue length in candidates."""
        self._waiting_candidates = waiting_candidates

    def flush(self) -> None:
        """Pass the notes to Ray."""
        batches = drain(self._batches)
        self._waiting.set(self._waiting_candidates)
        before = self._flushed
        self._flushed = (self.arrived_candidates, self.shed_requests, self.missed_requests)
        counters = (self._arrived, self._shed, self._missed)
        for series, now, then in zip(counters, self._flushed, before, strict=True):
            if now > then:
                series.inc(now - then)
        if batches:
            candidates = [count for count, _ in batches]
            self._served.inc(sum(candidates))
            self._batch.observe(candidates)
        for stage in dict.fromkeys(stage for _, timings_ms in batches for stage in timings_ms):
            elapsed_ms = [timings_ms[stage] for _, timings_ms in batches if stage in timings_ms]
            self._stage.observe(elapsed_ms, {"stage": stage})
        self._batch.export()
        self._stage.export()


class RequestMetrics:
    """Metrics that an ingress reports about its requests."""

    def __init__(self, pipeline: str, replica: str) -> None:
        """Declare the pipeline's series."""
        keys, tags = ("pipeline", "replica"), {"pipeline": pipeline, "replica": replica}
        self._requests = metrics.Counter(
            "rankway_requests_total", "Answers by HTTP status and route.", (*keys, "status", "route")
        )
        self._degraded = metrics.Counter(
            "rankway_degraded_total", "Degraded answers by reason.", (*keys, "reason")
        )
        self._latency = Histogram(
            "rankway_request_latency_ms",
            "Time in the replica from the request body to the answer.",
            _LATENCY_MS,
            labels=tags,
        )
        for series in (self._requests, self._degraded):
            series.set_default_tags(tags)
        self._answers: deque[tuple[int, float, str, str | None]] = deque()

    def answered(self, status: int, latency_ms: float, route: str, degraded: str | None = None) -> None:
        """Record an answer.

        Args:
            status: the HTTP status.
            latency_ms: the time in the replica.
            route: the request's route.
            degraded: the reasons why the answer is degraded, joined by commas.
        """
        self._answers.append((status, latency_ms, route, degraded))

    def flush(self) -> None:
        """Pass the notes to Ray."""
        answers = drain(self._answers)
        if answers:
            # This thread takes the interpreter from the requests, so there is no loop in Python over all answers.
            statuses, latencies_ms, routes, reasons = zip(*answers, strict=True)
            for (status, route), count in Tally(zip(statuses, routes, strict=True)).items():
                self._requests.inc(count, {"status": str(status), "route": route})
            for degraded, count in Tally(reasons).items():
                for reason in degraded.split(",") if degraded else ():
                    self._degraded.inc(count, {"reason": reason})
            self._latency.observe(latencies_ms)
        self._latency.export()
