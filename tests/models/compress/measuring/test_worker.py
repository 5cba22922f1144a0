"""A model in a process of its own: its times and memory, and what happens if it cannot be executed."""

from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from models.artifact import GOLDEN
from models.compress.data.runtime_scores import runtime_of
from models.compress.measuring.worker import Worker
from models.errors import RuntimeFailure
from tests.models.compress.homes import data_in, model_in


def test_executes_requests_and_reports_its_memory(home: Path) -> None:
    model = model_in(home)
    with Worker("ranker", model.root, runtime_of(model.artifact)) as worker:
        worker.ready()
        worker.prepare(data_in(home).requests(model.artifact.signature, 8, 2))
        times = worker.times_ms(0.0)
        memory = worker.memory()
        with pytest.raises(RuntimeFailure, match="attributes"):
            worker.prepare([[{}]])
            worker.times_ms(0.0)
    assert len(times) == 1
    assert times[0] > 0
    assert memory.peak_mib > memory.before_mib > 1


def test_model_that_fails_its_golden_requests_is_not_measured(home: Path) -> None:
    model = model_in(home)
    golden = {
        name: values + 1 if name.startswith("output") else values
        for name, values in load_file(model.root / GOLDEN).items()
    }
    save_file(golden, model.root / GOLDEN)
    with Worker("ranker", model.root, runtime_of(model.artifact)) as worker:
        with pytest.raises(RuntimeFailure, match="failed on its golden requests"):
            worker.ready()
        with pytest.raises(
            RuntimeFailure, match="ranker: the process that executed the model ended with exit code 0"
        ):
            worker.memory()
