"""Alternate between full and partial load on a service. Measure the time per request and the batches.

A shared machine's speed changes from second to second. Alternation measures both loads within the same minutes.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoscale.errors import TraceError
from autoscale.spec import Key
from autoscale.traces.recorded_batches import RecordedBatches, read_batches
from services.config.pipeline import PipelineConfig
from services.errors import ServiceError
from services.profiling.load_clients import ask_on_schedule, keep_asking
from services.profiling.sample_requests import SampleRequests

ROLL_S = 0.5
_ROUNDS = 5
_MOST_CLIENTS = 128
_WARM_S = 0.5
_SATURATED = 0.4
_BATCHES, _MOST_S = 8, 10.0
"""The minimum number of full batches in a round, and the longest time in seconds that a round waits for them."""
_LOAD = 0.6
_RECORD_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class LoadMeasurement:
    """The measurements under load.

    Attributes:
        busy_ms: for each round, the time for which a request occupies an ingress replica while all replicas are busy.
        batches: the batches in all rounds, saturated or not.
        running: for each round, the share of the saturated time in which a replica ran a batch.
    """

    busy_ms: tuple[float, ...]
    batches: dict[Key, RecordedBatches]
    running: dict[Key, tuple[float, ...]]


def measure_load(
    config: PipelineConfig, folder: Path, seconds: float, lone_s: float, sample: SampleRequests
) -> LoadMeasurement:
    """Load a service that records its traffic in ``folder``.

    Args:
        config: the pipeline.
        folder: the folder with the recorded traffic.
        seconds: the approximate duration. It is longer if few batches would end in that time.
        lone_s: a single request's latency.
        sample: the requests.

    Raises:
        ServiceError: an answer is missing or does not have status 200, or batches are not recorded.
    """
    since_s, request_count, saturated_s, busy = time.time(), 0, list[tuple[float, float]](), list[float]()
    random = np.random.default_rng(0)
    batch_s = _requests_per_batch(config) * lone_s
    for _ in range(_ROUNDS):
        round_s = max(_SATURATED * seconds / _ROUNDS, min(_BATCHES * batch_s, _MOST_S))
        start_s = time.time() + _WARM_S
        counted, sent_count = saturate(config, round_s, sample)
        request_count += sent_count
        saturated_s.append((start_s, start_s + round_s))
        busy.append(config.units[config.ingress_unit].replicas * round_s * 1e3 / max(1, counted))
        rate = _LOAD * config.units[config.ingress_unit].replicas * 1e3 / float(np.median(busy))
        round_s *= (1 - _SATURATED) / _SATURATED
        after_s = np.cumsum(random.exponential(1 / rate, max(1, int(rate * round_s))))
        ask_on_schedule(config, (time.perf_counter() + after_s).tolist(), _MOST_CLIENTS, sample)
        request_count += len(after_s)
    batches = _recorded(config, folder, since_s, request_count)
    running = {
        key: tuple(recorded.running(*window) for window in saturated_s) for key, recorded in batches.items()
    }
    return LoadMeasurement(tuple(busy), batches, running)


def saturate(config: PipelineConfig, seconds: float, sample: SampleRequests) -> tuple[int, int]:
    """Keep the ingress unit's batches full.

    Returns:
        The number of answers in ``seconds`` after a warm-up, and the number of all answers.

    Raises:
        ServiceError: an answer is missing or does not have status 200.
    """
    replicas = config.units[config.ingress_unit].replicas
    clients = min(_MOST_CLIENTS, 3 * _requests_per_batch(config) * replicas)  # one batch runs and two wait
    start_s = time.perf_counter() + _WARM_S
    with ThreadPoolExecutor(clients) as pool:
        answered_s = pool.map(
            lambda number: keep_asking(config, number, start_s + seconds, sample), range(clients)
        )
        moments_s = np.concatenate([np.array(each_s) for each_s in answered_s])
    return int(((moments_s >= start_s) & (moments_s < start_s + seconds)).sum()), len(moments_s)


def _requests_per_batch(config: PipelineConfig) -> int:
    """Return the request count in a full batch."""
    unit = config.units[config.ingress_unit]
    return max(1, unit.batching.max_candidates // config.candidates.count)


def _recorded(
    config: PipelineConfig, folder: Path, since_s: float, request_count: int
) -> dict[Key, RecordedBatches]:
    limit_s = time.monotonic() + _RECORD_LIMIT_S
    recorded: dict[Key, RecordedBatches] = {}
    while not _is_whole(list(recorded.values()), len(config.units), request_count):
        if time.monotonic() > limit_s:
            counts = {str(key): int(batches.requests.sum()) for key, batches in recorded.items()}
            raise ServiceError(
                f"expected recorded batches of {request_count} requests, got {counts}; see the replicas' logs"
            )
        time.sleep(ROLL_S)
        try:
            recorded = read_batches(folder, since_s, time.time())
        except TraceError:  # no file is written yet
            continue
    return recorded


def _is_whole(recorded: Sequence[RecordedBatches], units: int, request_count: int) -> bool:
    return len(recorded) == units and all(batches.requests.sum() >= request_count for batches in recorded)
