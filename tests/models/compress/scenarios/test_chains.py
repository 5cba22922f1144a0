"""Chains of steps: each child is a parent for the next step, and runs everywhere that the original runs."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures.attention.fused import FUSED
from models.architectures.gpu_form import to_gpu_form
from models.architectures.history_ranker import HistoryRanker
from models.compress.steps import factorization, pruning, tuning
from models.compress.steps.base import Model
from models.compress.steps.modules import loaded, parameters_of
from models.features.catalogue import Catalogue
from models.runtimes import load_cut_runtime, load_runtime
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.pytorch.compiled.build import build_package
from models.runtimes.weight_sizes import weights_of
from tests.models.compress.works import (
    TOLERANCE,
    RandomData,
    assert_serves,
    child_of,
    make_parent,
    make_work,
    scores_of,
)
from tests.models.runtimes.shapes import ARCHITECTURES, random_inputs
from tests.models.text.crossencoders import bert

STEPS: dict[str, Any] = {"prune": pruning.STEP, "low_rank": factorization.STEP, "tune": tuning.STEP}
SHORT = {"max_lists": 32, "lists_per_step": 16}
PRUNE = {"kind": "prune", "importance": "magnitude", "tune": None}
LOW_RANK = {"kind": "low_rank", "energy": 0.7, "tune": None}
CHAIN = (
    {**PRUNE, "hidden": 0.3},
    LOW_RANK,
    {**PRUNE, "hidden": 0.3},
    {**LOW_RANK, "energy": 0.5},
    {"kind": "tune", **SHORT},
)
HEADS = ({**PRUNE, "heads": 0.5}, *CHAIN)


def chained(parent: Model, root: Path, catalogue: Catalogue, steps: Sequence[dict[str, Any]]) -> list[Model]:
    models = [parent]
    for number, options in enumerate(steps):
        step = STEPS[options["kind"]]
        work = make_work(parent, root / f"{number}.scratch", RandomData(catalogue))
        step.run(step.config.model_validate(options), models[-1], root / f"{number}", work)
        models.append(child_of(root / f"{number}"))
    return models


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Model:
    """Return the last model of a chain that begins with a history ranker."""
    root = tmp_path_factory.mktemp("chain")
    parent = make_parent(root / "parent", ARCHITECTURES["history_ranker"]())
    return chained(parent, root, catalogue, HEADS)[-1]


@pytest.mark.parametrize("name", ["pooled_ranker", "listwise", "dlrm", "bert"])
def test_every_child_serves_and_is_smaller(name: str, tmp_path: Path, catalogue: Catalogue) -> None:
    module = bert(num_hidden_layers=2) if name == "bert" else ARCHITECTURES[name]()
    steps = HEADS if name in {"listwise", "bert"} else CHAIN
    models = chained(make_parent(tmp_path / "parent", module), tmp_path, catalogue, steps)
    sizes = [parameters_of(loaded(model, "test")) for model in models]
    assert all(after < before for before, after in pairwise(sizes[:-1]))
    assert sizes[-1] == sizes[-2]  # the tuning
    assert weights_of(models[-1].root, models[-1].artifact).whole_bytes >= 4 * sizes[-1]
    assert_serves(models[-1])


def test_the_lineage_of_a_chain_lists_all_steps(ranker: Model) -> None:
    steps = ranker.artifact.lineage["compression"]["steps"]
    assert [step["kind"] for step in steps] == [step["kind"] for step in HEADS]


@settings(max_examples=25, deadline=None)
@given(
    requests=st.integers(1, 4),
    extra_chunks=st.integers(0, 3),
    candidates=st.integers(1, 70),
    longest=st.integers(0, 9),
    seed=st.integers(0, 99),
)
def test_all_forms_of_a_ranker_score_alike(
    ranker: Model, requests: int, extra_chunks: int, candidates: int, longest: int, seed: int
) -> None:
    shape = {"requests": requests, "extra_chunks": extra_chunks, "candidates": candidates, "longest": longest}
    inputs = random_inputs(ranker.artifact.signature, {**shape, "tokens": 1}, seed)
    module = loaded(ranker, "test")
    expected = scores_of(module, seed, **shape)
    onnx = runtime_config(kind="onnx")
    for load in (load_runtime, load_cut_runtime):
        scores = load(ranker.root, ranker.artifact, onnx).run(inputs)["score"]
        np.testing.assert_allclose(scores, expected, atol=TOLERANCE, rtol=TOLERANCE)
    assert isinstance(module, HistoryRanker)
    to_gpu_form(module)
    module.kernels = FUSED
    torch.testing.assert_close(scores_of(module, seed, **shape), expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.slow
def test_a_compressed_ranker_is_compiled_ahead(ranker: Model) -> None:
    path = ranker.root / "model.safetensors"
    build_package(path, ranker.artifact, threads=1)
    ahead = load_runtime(ranker.root, ranker.artifact, runtime_config(kind="torch", mode="aot"))
    shape = {"requests": 3, "extra_chunks": 2, "candidates": 20, "longest": 6}
    inputs = random_inputs(ranker.artifact.signature, {**shape, "tokens": 1}, 3)
    expected = scores_of(loaded(ranker, "test"), 3, **shape)
    np.testing.assert_allclose(ahead.run(inputs)["score"], expected, atol=TOLERANCE, rtol=TOLERANCE)
