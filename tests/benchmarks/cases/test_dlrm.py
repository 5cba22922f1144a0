"""Small DLRM pipelines, which are made, checked, run bare and served by the control."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cases import bare_model, dlrm
from benchmarks.cases.batches import BareModels, BatchMaker, RuntimeLoader
from benchmarks.cases.workloads import WORKLOADS
from benchmarks.harness.cells import Load, measure_cell
from benchmarks.harness.servers import control
from services.deployment.check import check_artifacts

pytestmark = pytest.mark.slow  # exports two models and starts processes that import torch


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("dlrm")
    before = os.environ.get("RANKWAY_HOME")
    os.environ["RANKWAY_HOME"] = str(root)
    dlrm.build(root, rows=50, items=300, users=1000)
    yield root
    os.environ.pop("RANKWAY_HOME")
    if before is not None:
        os.environ["RANKWAY_HOME"] = before


@pytest.mark.parametrize("name", dlrm.PIPELINES)
def test_built_pipelines_pass_the_check(home: Path, name: str) -> None:
    assert dlrm.is_built(home)
    assert check_artifacts(WORKLOADS[name].pipeline(), home) == []


def test_pipelines_without_artifacts_do_not_count_as_built(home: Path, tmp_path: Path) -> None:
    assert not dlrm.is_built(tmp_path)


# torch warns of arrays that are not writable, but a runtime only reads them.
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("name", dlrm.PIPELINES)
def test_both_runtimes_give_the_same_scores(home: Path, name: str) -> None:
    pipeline = WORKLOADS[name].pipeline()
    maker = BatchMaker(pipeline, home, seed=1)
    batch = maker.batch(3)
    scores = []
    for kind in bare_model.RUNTIMES:
        models = BareModels(pipeline, home, RuntimeLoader(kind, 1), maker.catalogue)
        scores.append(models.run(models.inputs(batch)))
    assert scores[0].shape == (96,)
    assert scores[0].std() > 0
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)


def test_makers_with_the_same_store_follow_one_another(home: Path) -> None:
    for _ in range(2):
        maker = BatchMaker(WORKLOADS["dlrm-store"].pipeline(), home, seed=1)
        assert len(maker.batch(3)) == 3
        maker.close()


def test_the_bare_model_is_measured_in_every_layout(home: Path) -> None:
    cells = bare_model.measure(WORKLOADS["dlrm-store"], home, seconds=0.05, runtimes=["onnx"], sizes=[1, 4])
    assert {(c.processes, c.threads, c.requests_a_batch) for c in cells} == {
        (2, 1, 1),
        (2, 1, 4),
        (1, 2, 1),
        (1, 2, 4),
    }
    assert all(cell.rps > 0 for cell in cells)
    assert bare_model.best(cells).runtime == "onnx"


def test_the_control_serves_the_workload_and_leaves_nothing_behind(home: Path) -> None:
    workload = WORKLOADS["dlrm-store"]
    with workload.config_file() as config, control(config, 2) as server:
        cell = measure_cell(server, Load(clients=4), workload.bodies(), 0.5, 0.0)
        assert server.health()["pipeline"] == "dlrm-store"
    assert set(cell.load.statuses) == {"200"}
    assert cell.load.errors == 0
    assert cell.core_ms["uvicorn"] > 0
    assert sum(cell.batches.requests_by_batch.values()) > 0
    assert server.meter.read() == {}
