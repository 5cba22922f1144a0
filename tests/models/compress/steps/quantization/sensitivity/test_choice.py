"""Layers that stay in float32: the most sensitive ones, by the error of the scores or by the curvature of the loss."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers.layers import layers_of
from models.compress.steps.quantization.sensitivity.choice import TITLE, kept_count
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.runtimes.golden import check_golden
from models.runtimes.onnx import OnnxRuntime
from tests.models.compress.steps.quantization.parents import quantise, ranker_inputs, scores, write_ranker
from tests.models.worlds import make_pooled, make_ranker


@pytest.mark.parametrize("mode", ["dynamic", "static"])
def test_keeping_the_most_sensitive_layers_brings_scores_closer(
    tmp_path: Path, catalogue: Catalogue, mode: str
) -> None:
    module = make_ranker()
    parent = write_ranker(tmp_path / "parent", catalogue, module)
    options: dict[str, Any] = {"mode": mode, "sensitivity_lists": 8}
    whole, _ = quantise(parent, tmp_path / "whole", catalogue, mode=mode)
    child, outcome = quantise(parent, tmp_path / "child", catalogue, keep=0.4, **options)
    rows = outcome.tables[TITLE]
    kept = {row["layer"] for row in rows if row["precision"] == "float32"}
    assert len(kept) == outcome.facts["kept"] == int(0.4 * len(rows))
    assert {row["rank"] for row in rows[: len(kept)]} == set(range(1, len(kept) + 1))
    assert kept == {row["layer"] for row in rows[: len(kept)]}
    assert [row["sensitivity"] for row in rows] == sorted((row["sensitivity"] for row in rows), reverse=True)
    weights = {layer.weight for layer in layers_of(Graph.read(child.root / "model.onnx"))}
    assert len(weights) == len(kept)
    inputs = ranker_inputs(module, catalogue, [20], [6])
    before = scores(parent, inputs)
    errors = [np.abs(scores(model, inputs) - before).max() for model in (child, whole)]
    assert errors[0] < errors[1]
    runtime = OnnxRuntime(child.root / "model.onnx", child.artifact.signature)
    assert check_golden(child.root, child.artifact, runtime)


def test_the_table_is_reported_without_keeping_a_layer(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue, make_pooled())
    plain, without = quantise(parent, tmp_path / "plain", catalogue)
    child, outcome = quantise(parent, tmp_path / "child", catalogue, sensitivity="error", sensitivity_lists=4)
    assert without.tables == {}
    assert {row["precision"] for row in outcome.tables[TITLE]} == {"int8"}
    assert child.artifact.files == plain.artifact.files


def test_the_share_of_layers_is_rounded_down_and_a_share_below_a_layer_is_refused() -> None:
    assert [kept_count(keep, 10) for keep in (0.0, 0.1, 0.3, 0.39, 0.99)] == [0, 1, 3, 3, 9]
    with pytest.raises(
        TrainingError, match=r"keep: must keep at least one of 10 layers, got 0.05; raise it to 0.1"
    ):
        kept_count(0.05, 10)
