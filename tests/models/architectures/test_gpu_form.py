"""The form for GPUs: inputs that are left out, projections that are joined."""

import copy

import numpy as np
import torch

from models.architectures.attention.fused import FUSED
from models.architectures.attention.products import PRODUCTS
from models.architectures.dlrm import Dlrm
from models.architectures.gpu_form import to_gpu_form, without_needless
from models.architectures.history_ranker import HistoryRanker
from models.architectures.layers import TransformerLayer
from models.architectures.options import DlrmOptions, HistoryRankerOptions

FULL = np.ones((3, 4), dtype=np.bool_)


def test_leaves_out_the_chunks_requests_only_if_every_request_is_one_chunk() -> None:
    assert without_needless({"history_mask": FULL[:, :2], "chunk_of": np.arange(3)}) == {}
    for chunk_of in ([0, 0, 1], [0, 1], [0, 1, 2, 2], [2, 1, 0]):
        assert "chunk_of" in without_needless({"history_mask": FULL, "chunk_of": np.array(chunk_of)})


def test_leaves_out_the_mask_only_if_no_history_is_padded() -> None:
    padded = FULL.copy()
    padded[1, 3] = False
    chunk_of = np.array([0, 0, 1])
    assert set(without_needless({"history_mask": FULL, "chunk_of": chunk_of})) == {"chunk_of"}
    assert set(without_needless({"history_mask": padded, "chunk_of": chunk_of})) == {
        "chunk_of",
        "history_mask",
    }
    assert (
        without_needless({"history_mask": FULL[:, :0], "chunk_of": np.arange(3)}) == {}
    )  # no history at all


def test_keeps_the_inputs_of_other_models() -> None:
    inputs = {"dense": np.zeros((2, 3)), "chunk_of": np.arange(2)}
    assert without_needless(inputs) == inputs


def test_joined_projections_share_their_memory_and_give_the_same_result() -> None:
    torch.manual_seed(0)
    layer = TransformerLayer(32, 4, 48).eval()
    joined = copy.deepcopy(layer)
    joined.join()
    x = torch.randn(6, 32)
    for part, whole in zip(joined.project(x, 2), layer.project(x, 2), strict=True):
        torch.testing.assert_close(part, whole)
    torch.testing.assert_close(
        joined.close(x, torch.ones(2, 3, 4, 8)), layer.close(x, torch.ones(2, 3, 4, 8))
    )
    assert joined.state_dict().keys() == layer.state_dict().keys()
    storages = {p.weight.untyped_storage().data_ptr() for p in (joined.q_proj, joined.k_proj, joined.v_proj)}
    assert len(storages) == 1


def test_heads_that_the_kernels_cannot_read_keep_matrix_products() -> None:
    def ranker(width: int) -> HistoryRanker:
        module = HistoryRanker(
            HistoryRankerOptions(items={"colour": ()}, width=width, heads=4, hidden=8, layers=1)
        )
        to_gpu_form(module)
        return module

    assert ranker(32).kernels is FUSED
    assert ranker(16).kernels is PRODUCTS


def test_other_models_stay_as_they_are() -> None:
    module = Dlrm(DlrmOptions(rows=3))
    to_gpu_form(module)
    assert not hasattr(module, "kernels")
