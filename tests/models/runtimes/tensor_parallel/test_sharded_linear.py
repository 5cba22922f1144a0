"""Linear layers that are split over ranks give the complete layer's product."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributed as dist
from torch import nn

from models.runtimes.tensor_parallel.sharded_linear import SummedLinear

RANKS = 2


@pytest.fixture(scope="module")
def groups() -> list[Any]:
    """Two ranks in this process."""
    store = dist.HashStore()  # type: ignore[attr-defined]
    with ThreadPoolExecutor(RANKS) as pool:
        return list(pool.map(lambda rank: dist.ProcessGroupGloo(store, rank, RANKS), range(RANKS)))  # type: ignore[call-arg]


@settings(max_examples=20)
@given(rows=st.integers(1, 9), width=st.integers(1, 8), out=st.integers(1, 9), has_bias=st.booleans())
def test_sum_over_the_ranks_is_the_complete_product(
    groups: list[Any], rows: int, width: int, out: int, has_bias: bool
) -> None:
    whole = nn.Linear(RANKS * width, out, bias=has_bias).requires_grad_(False)
    x = torch.randn(rows, RANKS * width)
    parts = [
        SummedLinear(nn.Parameter(weight.contiguous(), requires_grad=False), whole.bias, group)
        for weight, group in zip(whole.weight.chunk(RANKS, dim=1), groups, strict=True)
    ]
    with ThreadPoolExecutor(RANKS) as pool:
        results = list(pool.map(lambda part, chunk: part(chunk), parts, x.chunk(RANKS, dim=1)))
    torch.testing.assert_close(results[0], whole(x))
    assert torch.equal(results[0], results[1])
