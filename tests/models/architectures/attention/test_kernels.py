"""All attention kernels compute the same scores, for any lengths of histories and lists."""

import copy
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.architectures.attention.flex import FLEX
from models.architectures.attention.fused import FUSED
from models.architectures.attention.kernels import Kernels
from models.architectures.attention.products import PRODUCTS
from models.architectures.gpu_form import to_gpu_form, without_needless
from models.architectures.history_ranker import HistoryRanker
from models.architectures.options import HistoryRankerOptions, ScalarColumn

OPTIONS = HistoryRankerOptions(
    items={"colour": (3,)},
    history_values=(ScalarColumn(name="rating"),),
    request={"realtime.state": (2,)},
    number=("number", 20),
    repeats=True,
    width=32,
    heads=4,
    layers=2,
    hidden=48,
)
KERNELS = pytest.mark.parametrize("kernels", [PRODUCTS, FUSED, FLEX], ids=lambda each: type(each).__name__)
pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")


def make_module() -> HistoryRanker:
    torch.manual_seed(1)
    module = HistoryRanker(OPTIONS).eval()
    torch.nn.init.normal_(module.beginning)
    for parameter in module.layers.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # attention weights that are far from equal
    return module


MODULE = make_module()


def make_inputs(lengths: list[int], chunk_of: list[int], candidates: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    requests, chunks, longest = len(lengths), len(chunk_of), max(lengths)
    return {
        "item_colour": random.standard_normal((chunks, candidates, 3), dtype=np.float32),
        "past_colour": random.standard_normal((requests, longest, 3), dtype=np.float32),
        "item_number": random.integers(0, 20, (chunks, candidates)),
        "past_number": random.integers(0, 20, (requests, longest)),
        "rating": random.random((requests, longest), dtype=np.float32),
        "realtime_state": random.standard_normal((requests, 2), dtype=np.float32),
        "history_mask": np.arange(longest)[None] < np.array(lengths)[:, None],
        "chunk_of": np.array(chunk_of, dtype=np.int64),
    }


def scores_of(module: HistoryRanker, inputs: Mapping[str, np.ndarray]) -> Tensor:
    with torch.inference_mode():
        scores: Tensor = module({name: torch.from_numpy(values) for name, values in inputs.items()})
    return scores


def in_gpu_form(kernels: Kernels, dtype: torch.dtype = torch.float32) -> HistoryRanker:
    module = copy.deepcopy(MODULE)
    module.narrow_layers(dtype)
    to_gpu_form(module, kernels)
    return module


@KERNELS
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_scores_equal_those_of_matrix_products(kernels: Kernels, data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=4))
    chunk_of = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=5))
    inputs = make_inputs(lengths, chunk_of, data.draw(st.integers(1, 7)), data.draw(st.integers(0, 99)))
    wanted = scores_of(MODULE, inputs)
    got = scores_of(in_gpu_form(kernels), without_needless(inputs))
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@KERNELS
def test_lengths_that_are_no_multiple_of_a_block(kernels: Kernels) -> None:
    inputs = make_inputs([130, 257, 1], [0, 1, 2], 129, 3)
    wanted = scores_of(MODULE, inputs)
    torch.testing.assert_close(scores_of(in_gpu_form(kernels), inputs), wanted, atol=1e-4, rtol=1e-4)


@KERNELS
def test_layers_in_bfloat16_differ_by_less_than_a_twentieth(kernels: Kernels) -> None:
    inputs = make_inputs([40, 40], [0, 1], 30, 5)
    wanted = scores_of(MODULE, inputs)
    got = scores_of(in_gpu_form(kernels, torch.bfloat16), without_needless(inputs))
    assert got.dtype == torch.float32
    assert (got - wanted).abs().max() < 0.05 * wanted.abs().max()


@KERNELS
def test_candidates_do_not_depend_on_each_other(kernels: Kernels) -> None:
    inputs = make_inputs([6, 6], [0, 1], 5, 7)
    module = in_gpu_form(kernels)
    changed = dict(inputs, item_colour=inputs["item_colour"].copy())
    changed["item_colour"][:, 0] += 3.0
    before, after = scores_of(module, inputs), scores_of(module, changed)
    assert (before[:, 0] != after[:, 0]).all()
    torch.testing.assert_close(after[:, 1:], before[:, 1:])


@KERNELS
def test_padding_is_not_read(kernels: Kernels) -> None:
    inputs = make_inputs([6, 2], [0, 1], 5, 7)
    module = in_gpu_form(kernels)
    changed = dict(inputs, past_colour=inputs["past_colour"].copy())
    changed["past_colour"][1, 2:] = 100.0
    torch.testing.assert_close(scores_of(module, changed), scores_of(module, inputs))


def test_operators_for_gpus_accept_the_arguments() -> None:
    # Tensors without data: only the operators' shapes can be tested without a GPU.
    q = torch.empty(4, 200, 3, 8, 64, device="meta", dtype=torch.bfloat16).unbind(2)[0].transpose(1, 2)
    k = torch.empty(4, 2049, 128, 64, device="meta", dtype=torch.bfloat16)[:, :, :8].transpose(1, 2)
    operators = torch.ops.aten
    for result, log_sum in (
        operators._scaled_dot_product_flash_attention(q, k, k, scale=0.1)[:2],
        operators._scaled_dot_product_cudnn_attention(q, k, k, None, True, scale=0.1)[:2],
        operators._scaled_dot_product_efficient_attention(q, k, k, None, True, scale=0.1)[:2],
    ):
        assert result.shape == q.shape
        assert log_sum.reshape(4, 8, -1)[..., :200].shape == (4, 8, 200)
        assert log_sum.dtype == torch.float32
