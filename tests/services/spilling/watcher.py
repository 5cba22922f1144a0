"""Watches pools, weights and GPUs of a running pipeline, and keeps every change with its time."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import ray

from services.autoscaling.kv_store import KvStore
from services.config.pipeline import PipelineConfig
from services.ray_internals.serve import serve_details
from tests.services.processes import Load

_PERIOD_S = 0.1
_POOLS = ("cpu", "gpu")
_ALIVE = ("STARTING", "UPDATING", "RECOVERING", "RUNNING", "STOPPING")


@dataclass(frozen=True)
class Seen:
    """The state at one time.

    Attributes:
        target: by pool, the replicas that the policy asked for.
        ready: by pool, the replicas that answer.
        alive: by pool, the replicas that exist, including those that start or stop.
        weights: the weights in Ray's store, which every ingress replica follows.
        gpus: the GPUs of the cluster.
        free_gpus: the GPUs that no replica holds.
    """

    target: dict[str, int]
    ready: dict[str, int]
    alive: dict[str, int]
    weights: dict[str, float]
    gpus: float
    free_gpus: float


@dataclass
class Report:
    """Everything that happened. All times are seconds since 1970.

    Attributes:
        marks: when each phase began, by name.
        changes: each change of the state, with its time.
        statuses: the number of answers for each HTTP status.
        wrong: wrong and missing answers.
    """

    marks: dict[str, float] = field(default_factory=dict)
    changes: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


class Watcher:
    """Looks at the cluster ten times a second."""

    def __init__(self, config: PipelineConfig) -> None:
        self._name, self._store = config.name, KvStore(config.name)
        self._report = Report()
        self._seen = self._look()
        self._changed, self._stop = threading.Condition(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def mark(self, name: str) -> None:
        """Note that a phase begins."""
        self._report.marks[name] = time.time()

    def wait_for(self, condition: Callable[[Seen], bool], limit_s: float) -> None:
        """Wait until the state satisfies a condition."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self._seen), limit_s), self._report.changes

    def report(self, loads: Sequence[Load]) -> Report:
        """Return what happened, with the answers of these loads."""
        report = self._report
        for each in loads:
            for status, count in each.statuses.items():
                report.statuses[str(status)] = report.statuses.get(str(status), 0) + count
            report.wrong += each.wrong
        return report

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join()
        self._store.close()

    def _watch(self) -> None:
        before = None
        while not self._stop.is_set():
            seen = self._look()
            if seen != before:
                with self._changed:
                    self._seen = before = seen
                    self._report.changes.append((time.time(), asdict(seen)))
                    self._changed.notify_all()
            self._stop.wait(_PERIOD_S)

    def _look(self) -> Seen:
        deployments = serve_details()["applications"][self._name]["deployments"]
        placed = {pool: deployments[f"scorer@{pool}"] for pool in _POOLS}
        states = {pool: [replica["state"] for replica in each["replicas"]] for pool, each in placed.items()}
        weights = self._store.read("weights/scorer")
        return Seen(
            target={pool: int(each["target_num_replicas"]) for pool, each in placed.items()},
            ready={pool: each.count("RUNNING") for pool, each in states.items()},
            alive={pool: sum(state in _ALIVE for state in each) for pool, each in states.items()},
            weights={} if weights is None else json.loads(weights),
            gpus=ray.cluster_resources().get("GPU", 0.0),  # type: ignore[no-untyped-call]
            free_gpus=ray.available_resources().get("GPU", 0.0),  # type: ignore[no-untyped-call]
        )


@contextmanager
def watched(config: PipelineConfig) -> Iterator[Watcher]:
    """Watch a running pipeline."""
    watcher = Watcher(config)
    try:
        yield watcher
    finally:
        watcher.close()
