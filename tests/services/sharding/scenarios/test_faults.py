"""A rank of a shard group is killed or stopped under load: the service keeps answering, and the group is replaced."""

import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.pipelines import merged
from tests.services.processes import READY, ServiceProcess, free_port, started, title
from tests.services.servers import Connection, rank_request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CENTRE = [60.1690, 24.9400]
LIMIT_S = 60.0
MOST_REFUSED = 0.01
"""The share of answers that may have status 429: if all cores are busy, an answer from memory may miss its deadline."""


@dataclass
class Answers:
    """The answers that closed-loop clients got.

    Attributes:
        port: the port of the service.
        got: each answer's status and ``degraded`` reason, in arrival order.
        lists: the different lists that each user got, without those of degraded answers.
        failed: the errors of the clients.
    """

    port: int
    got: list[tuple[int, str | None]] = field(default_factory=list)
    lists: dict[int, set[tuple[str, ...]]] = field(default_factory=lambda: defaultdict(set))
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _progress: threading.Condition = field(default_factory=threading.Condition)

    def client(self, user: int) -> None:
        body = {"user_id": f"u-{user:06d}", "context": {"position": CENTRE}, "k": 5, "deadline_ms": 2000}
        try:
            with Connection(self.port) as connection:
                while not self._stop.is_set():
                    reply = connection.ask(rank_request(body))
                    with self._progress:
                        degraded = reply.json.get("degraded")
                        self.got.append((reply.status, degraded))
                        if reply.status == 200 and degraded is None:
                            self.lists[user].add(tuple(item["id"] for item in reply.json["items"]))
                        self._progress.notify_all()
        except (OSError, AssertionError, ValueError) as error:
            with self._progress:
                self.failed.append(repr(error))
                self._progress.notify_all()

    def wait_for(self, *, degraded: bool, limit_s: float) -> None:
        """Wait for 20 more answers in a row that are all degraded, or all not degraded."""
        with self._progress:
            first = len(self.got)
            wanted = [degraded] * 20
            arrived = self._progress.wait_for(
                lambda: [reason is not None for _, reason in self.got[first:]][-20:] == wanted or self.failed,
                limit_s,
            )
            assert arrived, f"no 20 answers in a row with degraded {degraded}, got {self.got[-20:]}"


@contextmanager
def asking(port: int, clients: int = 3) -> Iterator[Answers]:
    answers = Answers(port)
    threads = [threading.Thread(target=answers.client, args=(user,), daemon=True) for user in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        answers._stop.set()
        for thread in threads:
            thread.join(30)


def serves(path: Path, changes: Mapping[str, Any], name: str) -> Path:
    """Write a changed copy of a pipeline file into the same folder."""
    changed = path.with_name(f"{name}.yaml")
    changed.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), changes)))
    return changed


@pytest.fixture(scope="module", params=["deepspeed", "accelerate"])
def service(tiny_home: Path, request: pytest.FixtureRequest) -> Iterator[ServiceProcess]:
    """Serve the walks with a ranker over two ranks: tensor parallelism, or a pipeline."""
    port = free_port()
    changes = {"models": {"ranker": {"runtime": {"kind": request.param, "shards": 2}}}}
    config = serves(tiny_home / "walks-deepspeed.yaml", changes, f"walks-{request.param}-faults")
    command = ["-m", "cli.main", "serve", str(config), "--port", str(port)]
    with started(command, port, tiny_home) as process:
        process.wait_for(READY)
        yield process


def ranks(service: ServiceProcess) -> list[psutil.Process]:
    """Return the group's processes, rank 0 first."""
    shards = [each for each in service.descendants() if "ray::Shard" in title(each)]
    return [*service.replicas("ranker"), *shards]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_lost_rank_degrades_answers_for_seconds_but_fails_none(
    service: ServiceProcess, fault: signal.Signals, rank: int
) -> None:
    with asking(service.port) as answers:
        answers.wait_for(degraded=False, limit_s=LIMIT_S)
        group = ranks(service)
        assert len(group) == 2
        group[rank].send_signal(fault)
        lost_s = time.monotonic()
        answers.wait_for(degraded=True, limit_s=LIMIT_S)
        answers.wait_for(degraded=False, limit_s=LIMIT_S)
        took_s = time.monotonic() - lost_s
    assert answers.failed == [], f"of {len(answers.got)} answers"
    assert {status for status, _ in answers.got} <= {200, 429}
    assert sum(status == 429 for status, _ in answers.got) <= MOST_REFUSED * len(answers.got)
    assert [len(lists) for lists in answers.lists.values()] == [1, 1, 1], "the same list before and after"
    _, alive = psutil.wait_procs(group, 10)
    assert alive == [], "a rank of the lost group still runs"
    assert len(ranks(service)) == 2
    print(f"{fault.name} of rank {rank}: back after {took_s:.1f} s")
