"""Measure a unit's costs outside its batches, on the real service."""

import http.client
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from ray import serve

from autoscale.spec import Key
from autoscale.traces.recorded_batches import RecordedBatches
from services.config.pipeline import PipelineConfig
from services.config.units import LOCAL_POOL
from services.deployment.deploy import deploy
from services.deployment.local_cluster import local_cluster
from services.deployment.serve_config import serve_config
from services.errors import ServiceError
from services.logs.traffic import RecordConfig
from services.profiling.sample_requests import DEADLINE_MS, SampleRequests
from services.profiling.saturation import ROLL_S, LoadMeasurement, measure_load
from services.ray_internals.serve import deploy_document, replica_process_name

_WARM_UPS = 30
_LOAD = 0.25
_LOADED = 2.5
_POLL_S = 0.05
_START_LIMIT_S = 120.0
_IDLE_S = 1.0


@dataclass(frozen=True, slots=True)
class DeploymentMeasurement:
    """The measurements on one deployment.

    Attributes:
        startup_s: seconds from the request for a replica until it runs.
        memory_mib: memory that a replica's process shares with no other process.
        outside_ms: a request's latency outside all stages (p50).
        cpu_ms: CPU time per request in the replica's process.
        ranker_ms: the ranker's time as the ingress sees it (p50).
        outside_batches_ms: time per request in which a busy replica runs no batch. None if the pipeline has several
            units.
        batches: the batches under load. None for the ingress if the pipeline has several units, because its batches
            wait for another unit.
    """

    startup_s: float
    memory_mib: float
    outside_ms: float
    cpu_ms: float
    ranker_ms: float
    outside_batches_ms: float | None
    batches: RecordedBatches | None


def measure_served(config: PipelineConfig, home: Path, seconds: float) -> dict[str, DeploymentMeasurement]:
    """Serve the pipeline and measure each deployment.

    First, requests are sent one at a time for ``seconds``. Then all replicas work together: in several rounds the
    service is first saturated, then loaded to most of its capacity. Only a loaded service shows how much replicas
    slow each other down, and how much it costs to read and answer requests. Finally, another replica of each unit is
    started.

    Raises:
        ServiceError: the service does not start, or does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="rankway-bench-") as folder:
        # The pipeline's own limit could be below the deadline of the measuring requests.
        deadline_ms = max(config.requests.max_deadline_ms, DEADLINE_MS)
        limits = config.requests.model_copy(update={"max_deadline_ms": deadline_ms})
        record = RecordConfig(path=folder, roll_s=ROLL_S)
        recorded = config.model_copy(update={"record": record, "requests": limits})
        return _measured(recorded, home, Path(folder), seconds)


def _measured(
    config: PipelineConfig, home: Path, folder: Path, seconds: float
) -> dict[str, DeploymentMeasurement]:
    with local_cluster(config):
        deploy(config, home, lambda _text: None)
        names = list(serve.status().applications[config.name].deployments)
        processes = {name: _replica_of(config.name, name) for name in names}
        sample = SampleRequests.of(config, home)
        lone_s, outside_ms, ranker_ms, cpu_ms = _ask(config, processes, seconds, sample)
        loaded = measure_load(config, folder, _LOADED * seconds, lone_s, sample)
        memory = {name: process.memory_full_info().uss / 2**20 for name, process in processes.items()}
        startup_s = {name: _start_replica(config, home, name) for name in names}
    return {
        name: DeploymentMeasurement(
            startup_s=startup_s[name],
            memory_mib=memory[name],
            outside_ms=outside_ms,
            cpu_ms=cpu_ms[name],
            ranker_ms=ranker_ms,
            outside_batches_ms=_between_ms(loaded, name) if len(names) == 1 else None,
            batches=loaded.batches[Key(name, LOCAL_POOL)]
            if len(names) == 1 or name != config.ingress_unit
            else None,
        )
        for name in names
    }


def _between_ms(loaded: LoadMeasurement, unit: str) -> float:
    running = loaded.running[Key(unit, LOCAL_POOL)]
    return float(np.median([ms * (1 - share) for ms, share in zip(loaded.busy_ms, running, strict=True)]))


def _replica_of(application: str, deployment: str) -> psutil.Process:
    wanted = replica_process_name(application, deployment)
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            if wanted in " ".join(process.cmdline()):
                return process
        except psutil.Error:
            continue
    raise ServiceError(
        f"no replica process of {deployment} was found under this process; measure on a local Ray cluster"
    )


def _ask(
    config: PipelineConfig, processes: Mapping[str, psutil.Process], seconds: float, sample: SampleRequests
) -> tuple[float, float, float, dict[str, float]]:
    """Send requests on a schedule.

    Returns:
        The median latency of a single request in s, the p50 outside all stages in ms, the ranker's p50 in ms, and the
        CPU time per request in ms by deployment.
    """
    connection = http.client.HTTPConnection("127.0.0.1", config.http.port, timeout=30)
    warm_s = [_send(connection, sample.body(index), time.perf_counter())[0] for index in range(_WARM_UPS)]
    lone_s = float(np.median(warm_s))
    period_s = lone_s / _LOAD
    cpu_ms = _cpu_of_requests(connection, processes, seconds / 3, sample)
    count = max(20, int(seconds / period_s))
    started_s = time.perf_counter()
    outside, ranker = np.empty(count), np.empty(count)
    for index in range(count):
        due_s = started_s + index * period_s
        time.sleep(max(0.0, due_s - time.perf_counter()))
        latency_s, timings_ms = _send(connection, sample.body(index), due_s)
        outside[index] = latency_s * 1e3 - sum(timings_ms.values())
        ranker[index] = timings_ms.get("ranker", 0.0)
    return lone_s, max(0.0, float(np.median(outside))), float(np.median(ranker)), cpu_ms


def _cpu_of_requests(
    connection: http.client.HTTPConnection,
    processes: Mapping[str, psutil.Process],
    seconds: float,
    sample: SampleRequests,
) -> dict[str, float]:
    """Return each process's CPU time per request, in ms.

    Requests are sent back to back, because an idle core takes longer for the same work.
    """
    idle_s = _cpu_s(processes)
    time.sleep(_IDLE_S)
    before_s = _cpu_s(processes)
    started_s, count = time.perf_counter(), 0
    while time.perf_counter() - started_s < seconds:
        _send(connection, sample.body(count), time.perf_counter())
        count += 1
    elapsed_s, after_s = time.perf_counter() - started_s, _cpu_s(processes)
    idle = {name: (before_s[name] - idle_s[name]) / _IDLE_S * elapsed_s for name in processes}
    return {name: max(0.0, after_s[name] - before_s[name] - idle[name]) / count * 1e3 for name in processes}


def _send(
    connection: http.client.HTTPConnection, body: bytes, due_s: float
) -> tuple[float, dict[str, float]]:
    connection.request("POST", "/v1/rank", body)
    answer = connection.getresponse()
    document: dict[str, Any] = json.loads(answer.read())
    if answer.status != 200:
        raise ServiceError(f"expected status 200 from the service, got {answer.status}: {document}")
    return time.perf_counter() - due_s, document["timings_ms"]


def _cpu_s(processes: Mapping[str, psutil.Process]) -> dict[str, float]:
    times = {name: process.cpu_times() for name, process in processes.items()}
    return {name: each.user + each.system for name, each in times.items()}


def _start_replica(config: PipelineConfig, home: Path, deployment: str) -> float:
    """Request one more replica, without a restart of the others. Return the seconds until it runs."""
    count = config.units[deployment].replicas + 1
    document = serve_config(config, home)
    application = document["applications"][0]
    others = [each for each in application.get("deployments", []) if each["name"] != deployment]
    own = {"name": deployment}
    own.update(next((e for e in application.get("deployments", []) if e["name"] == deployment), {}))
    application["deployments"] = [*others, own | {"num_replicas": count}]
    started_s = time.perf_counter()
    deploy_document(document)
    while time.perf_counter() - started_s < _START_LIMIT_S:
        states = serve.status().applications[config.name].deployments[deployment].replica_states
        if next((count for state, count in states.items() if state == "RUNNING"), 0) == count:
            return time.perf_counter() - started_s
        time.sleep(_POLL_S)
    raise ServiceError(f"an additional replica of {deployment} did not start within {_START_LIMIT_S:.0f} s")
