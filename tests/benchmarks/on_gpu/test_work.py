"""Counted work against PyTorch's own counter, and bounds of the bytes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.on_gpu.inputs import dlrm_inputs, pinned, ranker_inputs
from benchmarks.on_gpu.modules import build_dlrm, build_ranker
from benchmarks.on_gpu.options import DlrmOptions, RankerOptions
from benchmarks.on_gpu.work import dlrm_work, ranker_work
from models.signature import Inputs

CPU = torch.device("cpu")
OPTIONS = RankerOptions(32, 4, 3, 64, {"embedding": (1,)})


def executed(module: torch.nn.Module, arrays: Inputs) -> int:
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        module(pinned(arrays, CPU))
    return int(counter.get_total_flops())


def test_useful_work_of_a_ranker_is_a_little_less_than_the_executed_work() -> None:
    arrays = ranker_inputs(OPTIONS, 2, 40, 50)
    useful = ranker_work(OPTIONS, [50, 50], 40, 4).operations
    # Products also compute the masked half of the causal attention, and the last layer's queries.
    causal_half = 2 * 2 * (OPTIONS.layers - 1) * 2 * OPTIONS.width * 51 * 50 / 2
    assert useful < executed(build_ranker(OPTIONS, CPU), arrays) < (useful + 2 * causal_half) * 1.2


def test_parts_of_the_work_add_up() -> None:
    whole = ranker_work(OPTIONS, [9, 3], 7, 2).operations
    encoded = ranker_work(OPTIONS, [9, 3], 7, 2, scores=False).operations
    scored = ranker_work(OPTIONS, [9, 3], 7, 2, encodes=False).operations
    assert whole == encoded + scored


def test_work_for_padding_is_not_counted() -> None:
    assert ranker_work(OPTIONS, [9, 3], 7, 2).operations < ranker_work(OPTIONS, [9, 9], 7, 2).operations


def test_work_of_a_dlrm_is_that_of_its_products() -> None:
    options = DlrmOptions(rows=9, width=8)
    useful = dlrm_work(options, 20, 4).operations
    done = executed(build_dlrm(options, CPU), dict(dlrm_inputs(options, 2, 10)))
    pairs_twice = (
        2 * 20 * (27 * 27 - 27 * 26 // 2) * 8
    )  # the products above the diagonal and on it are not useful
    assert done == pytest.approx(useful + pairs_twice)
