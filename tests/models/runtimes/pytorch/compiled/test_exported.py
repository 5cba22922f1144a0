"""Exported graphs of every architecture: the same scores as the module, for inputs of any length."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures.base import Architecture
from models.runtimes.pytorch.by_position import ArraysByPosition, ByPosition
from models.runtimes.pytorch.compiled.exported import graph_of
from tests.models.runtimes.shapes import ARCHITECTURES, random_inputs

LENGTHS = st.fixed_dictionaries(
    {
        "requests": st.integers(1, 5),
        "extra_chunks": st.integers(0, 3),
        "candidates": st.integers(1, 70),
        "longest": st.integers(0, 9),
        "tokens": st.integers(1, 20),
    }
)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def module(request: pytest.FixtureRequest) -> Architecture:
    make: Callable[[], Architecture] = ARCHITECTURES[request.param]
    return make()


@pytest.fixture(scope="module")
def graph(module: Architecture) -> torch.fx.GraphModule:
    exported = graph_of(module, module.signature(""), "cpu").module(check_guards=False)  # as when compiled
    assert isinstance(exported, torch.fx.GraphModule)
    return exported


@given(LENGTHS, st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_exported_graph_has_the_scores_of_its_module(
    module: Architecture, graph: torch.fx.GraphModule, lengths: dict[str, int], seed: int
) -> None:
    signature = module.signature("")
    arrays = ArraysByPosition(signature)(random_inputs(signature, lengths, seed))
    tensors = [torch.from_numpy(array) for array in arrays]
    with torch.inference_mode():
        expected = ByPosition(module, signature)(*tensors)
        np.testing.assert_allclose(graph(*tensors), expected, atol=1e-5, rtol=1e-5)
