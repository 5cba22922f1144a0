"""A model in a process of its own: its times and memory, and what happens if it cannot be executed."""

from pathlib import Path

import numpy as np
import pytest

from models.compress.data.base import Call
from models.compress.data.runtime_scores import runtime_of
from models.compress.measuring.worker import SideFailure, Worker
from tests.models.compress.homes import damage_golden, data_in, model_in


def test_executes_requests_and_reports_its_memory(home: Path) -> None:
    model = model_in(home)
    good = data_in(home).requests(model.artifact.signature, 8, 2)
    requests: dict[int, list[Call]] = {8: [*good, [{}]]}
    with Worker("ranker", model.root, runtime_of(model.artifact), requests) as worker:
        worker.ready()
        times = [worker.times_ms(8, 0.0, first) for first in (0, 1, 0, 3)]
        memory = worker.memory()
        with pytest.raises(SideFailure, match="attributes"):
            worker.times_ms(8, 0.0, 2)
    assert [len(each) for each in times] == [1, 1, 1, 1]
    assert min(times) > [0.0]
    assert memory.peak_mib > memory.before_mib > 1


def test_memory_does_not_include_that_of_the_requests(home: Path) -> None:
    model = model_in(home)
    (call,) = data_in(home).requests(model.artifact.signature, 8, 1)
    unread: Call = [{"unread": np.ones((64, 1024, 256), dtype=np.float32)}]
    cases: list[list[Call]] = [[], [unread] * 4]  # four times 64 MiB
    peaks: list[float] = []
    for others in cases:
        config = runtime_of(model.artifact)
        with Worker("ranker", model.root, config, {8: [call], 9: others}) as worker:
            worker.ready()
            worker.times_ms(8, 0.0)
            peaks.append(worker.memory().peak_mib)
    assert peaks[1] < peaks[0] + 100


def test_model_that_fails_its_golden_requests_is_not_measured(home: Path) -> None:
    model = model_in(home)
    damage_golden(model)
    with Worker("ranker", model.root, runtime_of(model.artifact), {}) as worker:
        with pytest.raises(SideFailure, match=r"ranker: .* failed on its golden requests"):
            worker.ready()
        with pytest.raises(
            SideFailure, match="ranker: the process that executed the model ended with exit code 0"
        ):
            worker.memory()
