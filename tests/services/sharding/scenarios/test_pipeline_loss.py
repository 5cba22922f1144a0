"""A rank of a pipeline is lost while batches run: each batch gets the right scores or ``ShardLost``, never others."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from models.runtimes.kinds.accelerate import AccelerateConfig
from models.signature import Inputs
from services.errors import ShardLost
from tests.models.text.crossencoders import LAYERS
from tests.services.sharding.running_group import TIMEOUT_S, RunningGroup, deep_ranker, stop_process

LIMIT_S = 30.0
FAULTS = [
    pytest.param(2, signal.SIGKILL, id="2 ranks, killed"),
    pytest.param(2, signal.SIGSTOP, id="2 ranks, stopped"),
    pytest.param(4, signal.SIGKILL, id="4 ranks, killed", marks=pytest.mark.slow),
]


@pytest.fixture
def lost(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunningGroup]:
    config = AccelerateConfig(kind="accelerate", shards=request.param, micro_batches=8, timeout_s=TIMEOUT_S)
    running = RunningGroup(tmp_path, request.param, config, deep_ranker(LAYERS))
    yield running
    running.group.close()


class Batches:
    """Runs batches of several shapes in a thread, until one fails.

    Attributes:
        served: the number of batches that got the right scores.
        wrong: the number of batches that got other scores.
        error: the failure.
    """

    def __init__(self, running: RunningGroup) -> None:
        self.served = self.wrong = 0
        self.error: Exception | None = None
        self._running = running
        shapes = [((5, 1),), ((150, 8), (90, 0), (150, 3)), ((0, 2), (40, 1))]
        self.cases = [self._case(running.inputs(*shape)) for shape in shapes]
        self._progress = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for(self, count: int) -> None:
        """Wait until this number of batches has been served."""
        with self._progress:
            assert self._progress.wait_for(lambda: self.served >= count or self.error, LIMIT_S)

    def wait_for_failure(self) -> None:
        """Wait until a batch has failed."""
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive(), "a batch is lost: it neither ended nor failed"

    def _case(self, inputs: Inputs) -> tuple[Inputs, np.ndarray]:
        return inputs, self._running.sharded.run(inputs)["score"]

    def _run(self) -> None:
        while self.error is None:
            for inputs, expected in self.cases:
                try:
                    right = np.array_equal(self._running.sharded.run(inputs)["score"], expected)
                except Exception as error:  # the test compares it
                    self.error = error
                    return
                with self._progress:
                    self.served, self.wrong = self.served + right, self.wrong + (not right)
                    self._progress.notify_all()


@pytest.mark.parametrize(("lost", "fault"), FAULTS, indirect=["lost"])
def test_batches_get_right_scores_or_fail_while_a_rank_is_lost(
    lost: RunningGroup, fault: signal.Signals
) -> None:
    batches = Batches(lost)
    batches.wait_for(20)
    last = lost.rank(lost.config.shards - 1)
    if fault == signal.SIGKILL:
        last.kill()
    else:
        stop_process(last.pid)
    batches.wait_for_failure()
    assert isinstance(batches.error, ShardLost)
    assert batches.wrong == 0
    for inputs, _ in batches.cases:  # later batches fail too, although most ranks still run
        with pytest.raises(ShardLost):
            lost.sharded.run(inputs)
    with pytest.raises(ShardLost):
        lost.group.check()
    processes = [lost.rank(number) for number in range(1, lost.config.shards)]
    lost.group.close()
    _, alive = psutil.wait_procs(processes, 10)
    assert alive == [], "a rank of the lost group still runs"
