"""Top eigenvalues of Hessians, and layers chosen by them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.compress.steps.quantization.sensitivity.choice import TITLE
from models.compress.steps.quantization.sensitivity.curvature import digest, top_eigenvalue
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from tests.models.compress.steps.quantization.parents import quantise, write_ranker
from tests.models.worlds import make_pooled, make_ranker


@pytest.mark.parametrize("eigenvalues", [[5.0, 1.0, 0.5], [-7.0, 2.0, 1.0], [0.0, 0.0, 0.0]])
def test_power_iteration_finds_the_largest_absolute_eigenvalue(eigenvalues: list[float]) -> None:
    random = np.random.default_rng(3)
    turn: NDArray[np.float64] = np.linalg.qr(random.normal(size=(3, 3)))[0]
    hessian = torch.tensor(turn @ np.diag(eigenvalues) @ turn.T, dtype=torch.float32)
    weight = torch.zeros(3, requires_grad=True)
    loss = weight @ hessian @ weight / 2
    (gradient,) = torch.autograd.grad(loss, weight, create_graph=True)
    assert top_eigenvalue(gradient, weight, 1) == pytest.approx(
        max(map(abs, eigenvalues)), rel=0.02, abs=1e-6
    )


def test_a_matrix_is_found_by_a_short_hash_of_its_numbers() -> None:
    matrix: NDArray[np.float32] = np.arange(6_000, dtype=np.float32).reshape(60, 100)
    assert digest(matrix) == digest(np.asfortranarray(matrix)) != digest(matrix.T)
    assert len(digest(matrix)) <= 64


def test_layers_are_ranked_by_eigenvalue_times_squared_error(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue, make_ranker())
    _, outcome = quantise(parent, tmp_path / "child", catalogue, keep=0.2, sensitivity="curvature")
    rows = outcome.tables[TITLE]
    assert outcome.facts["kept"] == int(0.2 * len(rows))
    assert all(row["sensitivity"] == row["eigenvalue"] * row["squared_error"] for row in rows)
    assert rows[0]["sensitivity"] > rows[-1]["sensitivity"] >= 0


def test_refuses_a_model_without_a_module(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue, make_pooled())
    half, _ = quantise(parent, tmp_path / "half", catalogue, keep=0.5, sensitivity_lists=2)
    with pytest.raises(
        TrainingError, match=r"curvature requires a model with a module, but .* has only a graph"
    ):
        quantise(half, tmp_path / "child", catalogue, sensitivity="curvature")
    assert not (tmp_path / "child").exists()


def test_refuses_data_without_labels(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue, make_pooled())
    with pytest.raises(TrainingError, match="the curvature requires at least one list with a label above 0"):
        quantise(parent, tmp_path / "child", catalogue, count=0, sensitivity="curvature")
    assert not (tmp_path / "child").exists()
