"""Resized linear layers: options build them again, and options without them stay as they were."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.architectures import build_architecture
from models.architectures.layers import layers_of
from models.architectures.linear_sizes import LinearSize
from models.architectures.resizing import LowRank, resize
from models.errors import ArtifactError
from tests.models.runtimes.shapes import ARCHITECTURES
from tests.models.worlds import RANKER


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_options_without_sizes_are_written_as_before(name: str) -> None:
    assert "linears" not in ARCHITECTURES[name]().options.model_dump(mode="json")


def test_sizes_survive_the_artifact() -> None:
    sizes = {"layers.1.q_proj": LinearSize(rank=3), "layers.0.up_proj": LinearSize(outputs=9)}
    options = RANKER.model_copy(update={"linears": {**sizes, "layers.0.down_proj": LinearSize(inputs=9)}})
    module = build_architecture(options.model_dump(mode="json"))
    assert module.options == options
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert shapes["layers.1.q_proj.first.weight"] == (3, 16)
    assert shapes["layers.1.q_proj.second.weight"] == (16, 3)
    assert shapes["layers.0.up_proj.weight"] == (9, 16)
    assert shapes["layers.0.down_proj.weight"] == (16, 9)


@given(inputs=st.integers(1, 9), outputs=st.integers(1, 9), rank=st.integers(1, 9), bias=st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_factorised_layer_is_a_product(inputs: int, outputs: int, rank: int, bias: bool) -> None:
    layer, x = LowRank(inputs, outputs, rank, bias=bias), torch.randn(3, inputs)
    whole = x @ (layer.second.weight @ layer.first.weight).T
    expected = whole if layer.second.bias is None else whole + layer.second.bias
    torch.testing.assert_close(layer(x), expected, atol=1e-4, rtol=1e-4)


def test_unknown_layers_are_refused() -> None:
    with pytest.raises(ArtifactError, match=r"architecture.linears: must name linear layers .* got 'norm'"):
        resize(nn.ModuleDict({"norm": nn.LayerNorm(4)}), {"norm": LinearSize(rank=1)})


def test_a_layer_counts_the_heads_of_a_factorised_projection() -> None:
    sizes = {f"layers.0.{name}_proj": LinearSize(outputs=8, rank=2) for name in "qkv"}
    options = RANKER.model_copy(update={"linears": {**sizes, "layers.0.o_proj": LinearSize(inputs=8)}})
    module = build_architecture(options.model_dump(mode="json"))
    assert isinstance(module.layers, nn.ModuleList)
    assert [layer.heads for layer in layers_of(module.layers)] == [1, 2]
