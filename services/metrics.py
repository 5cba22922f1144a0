"""Metrics in Ray's Prometheus export. One call costs about 2 µs, once a batch or once a request.

    rankway_requests_total{pipeline, status}       answers by HTTP status
    rankway_degraded_total{pipeline, reason}       answers that missed something
    rankway_request_latency_ms{pipeline}           histogram, in the replica, from body to answer
    rankway_candidates_waiting{unit}               gauge
    rankway_candidates_served_total{unit}          counter
    rankway_batch_candidates{unit}                 histogram
    rankway_stage_latency_ms{unit, stage}          histogram, per batch

Outside a Ray process the same calls reach nothing.
"""

from ray.util import metrics

_LATENCY_MS = [0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 500, 1000]
_CANDIDATES: list[float] = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096]


class UnitMetrics:
    """What a unit's runner reports."""

    def __init__(self, unit: str, replica: str) -> None:
        """Declare the unit's series."""
        keys, tags = ("unit", "replica"), {"unit": unit, "replica": replica}
        self._tags = tags
        self._waiting = metrics.Gauge("rankway_candidates_waiting", "Candidates in the queue.", keys)
        self._served = metrics.Counter("rankway_candidates_served_total", "Candidates scored.", keys)
        self._batch = metrics.Histogram("rankway_batch_candidates", "Candidates a batch.", _CANDIDATES, keys)
        self._stage = metrics.Histogram(
            "rankway_stage_latency_ms", "Stage time of a batch.", _LATENCY_MS, (*keys, "stage")
        )
        for series in (self._waiting, self._served, self._batch, self._stage):
            series.set_default_tags(tags)
        self.batch_count = 0
        self.candidate_count = 0

    def batch_done(self, candidates: int, timings_ms: dict[str, float]) -> None:
        """Note a finished batch."""
        self.batch_count += 1
        self.candidate_count += candidates
        self._served.inc(candidates)
        self._batch.observe(candidates)
        for stage, elapsed_ms in timings_ms.items():
            self._stage.observe(elapsed_ms, {"stage": stage})

    def queue(self, waiting_candidates: int) -> None:
        """Note the queue's length."""
        self._waiting.set(waiting_candidates)


class RequestMetrics:
    """What an ingress reports of its requests."""

    def __init__(self, pipeline: str, replica: str) -> None:
        """Declare the pipeline's series."""
        keys, tags = ("pipeline", "replica"), {"pipeline": pipeline, "replica": replica}
        self._requests = metrics.Counter("rankway_requests_total", "Answers.", (*keys, "status"))
        self._degraded = metrics.Counter("rankway_degraded_total", "Incomplete answers.", (*keys, "reason"))
        self._latency = metrics.Histogram(
            "rankway_request_latency_ms", "From body to answer, in the replica.", _LATENCY_MS, keys
        )
        for series in (self._requests, self._degraded, self._latency):
            series.set_default_tags(tags)

    def answered(self, status: int, latency_ms: float) -> None:
        """Note an answer."""
        self._requests.inc(1, {"status": str(status)})
        self._latency.observe(latency_ms)

    def degraded(self, reason: str) -> None:
        """Note that an answer missed something."""
        self._degraded.inc(1, {"reason": reason})
