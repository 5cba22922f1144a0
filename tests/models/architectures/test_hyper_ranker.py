"""The hyper ranker: its exported form has the scores of the module, for any features and constants."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures.hyper_ranker import HyperRanker
from models.architectures.hyper_ranker.ranker import CUT
from models.architectures.options import Distance, ScalarColumn
from models.runtimes.onnx import OnnxRuntime
from models.signature import Inputs
from models.training.export import ONNX, export_onnx, outputs_of
from tests.models.runtimes.shapes import random_inputs
from tests.models.worlds import HYPER, make_hyper, with_random_weights

TOLERANCE = 1e-4
LENGTHS = {"requests": 3, "extra_chunks": 2, "candidates": 7, "longest": 4}
READS: dict[str, dict[str, Any]] = {
    "all kinds of features": {
        "context": (
            *HYPER.context,
            ScalarColumn(name="weekday", encoding="cyclic", period=7, harmonics=3),
            ScalarColumn(name="minutes"),
        ),
        "request": {"global.rain": (3,), "global.snow_cm": (), "realtime.stops": ()},
        "cells": {"news": (3,), "age": ()},
        "distances": (*HYPER.distances, Distance(origin="realtime.came_from", place="end")),
    },
    "a wide feature of the request": {"context": (), "profile": None, "request": {"global.rain": (3,)}},
    "a profile": {"context": ()},
    "no request": {"context": (), "profile": None},
    "no distances": {"distances": ()},
    "no values of the history": {"history_values": ()},
}


def make(reads: str, seed: int, far: float = 0.0) -> HyperRanker:
    """Return a ranker with random weights and constants. ``far`` is added to the means."""
    ranker = with_random_weights(HyperRanker(HYPER.model_copy(update=READS[reads])), seed)
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in ranker.named_buffers():
        if name.endswith("mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator) + far)
        elif name.endswith("scale"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return ranker


def inputs_of(ranker: HyperRanker, lengths: dict[str, int], seed: int, far: float = 0.0) -> Inputs:
    inputs = random_inputs(ranker.signature(""), lengths, seed)
    moved = ("item_", "past_")
    return {
        name: values + np.float32(far) if name.startswith(moved) else values
        for name, values in inputs.items()
    }


@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize("far", [0.0, 1000.0])
def test_the_exported_form_has_the_scores_of_the_module(reads: str, far: float) -> None:
    ranker = make(reads, 0, far)
    signature = ranker.signature("")
    for seed in range(3):
        inputs = inputs_of(ranker, LENGTHS, seed, far)
        expected = outputs_of(ranker, signature, inputs)["score"]
        got = outputs_of(ranker.for_export(), signature, inputs)["score"]
        assert np.abs(expected).max() > 0.01
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=TOLERANCE)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[HyperRanker, OnnxRuntime]:
    ranker, root = make("all kinds of features", 1), Path(tmp_path_factory.mktemp("hyper"))
    signature = ranker.signature("")
    export_onnx(ranker, signature, root / ONNX)
    return ranker, OnnxRuntime(root / ONNX, signature)


@given(
    st.fixed_dictionaries(
        {
            "requests": st.integers(1, 3),
            "extra_chunks": st.integers(0, 2),
            "candidates": st.integers(1, 40),
            "longest": st.integers(1, 9),
        }
    ),
    st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_the_graph_has_the_scores_of_the_module(
    exported: tuple[HyperRanker, OnnxRuntime], lengths: dict[str, int], seed: int
) -> None:
    ranker, runtime = exported
    inputs = inputs_of(ranker, lengths, seed)
    expected = outputs_of(ranker, ranker.signature(""), inputs)["score"]
    np.testing.assert_allclose(runtime.run(inputs)["score"], expected, rtol=1e-4, atol=TOLERANCE)


def test_the_form_for_export_keeps_the_signature() -> None:
    ranker = make_hyper()
    assert ranker.for_export().signature("0" * 16) == ranker.signature("0" * 16)


def test_extreme_columns_have_bounded_scores() -> None:
    ranker = make("all kinds of features", 2)
    inputs = inputs_of(ranker, LENGTHS, 0, far=1e30)
    largest = CUT * float(ranker.score_proj.weight.detach().abs().sum())
    for form in (ranker, ranker.for_export()):
        scores = outputs_of(form, ranker.signature(""), inputs)["score"]
        assert np.abs(scores).max() <= largest
