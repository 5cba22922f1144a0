"""The choices of ``kind: auto``. More resources never lead to a worse choice."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.artifact import MeasuredRuntime
from models.runtimes.auto import (
    CPU_CORE,
    GPUS,
    OBJECTIVE_SHARE,
    Choice,
    Device,
    choose,
    estimate_ms,
    least,
)
from models.runtimes.base import RuntimeOptions
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.kinds.auto import AutoConfig
from models.runtimes.kinds.deepspeed import DeepSpeedConfig
from models.runtimes.kinds.lightgbm import LightGbmConfig
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.torch import TorchConfig
from models.runtimes.kinds.xgboost import XgboostConfig
from models.runtimes.weight_sizes import MIB, Weights

AUTO = AutoConfig(kind="auto")
GIB = 1 << 30
SMALL = Weights(8 * MIB, split_bytes=6 * MIB, largest_bytes=MIB, heads=8, work=2 * MIB, onnx=True)
LARGE = Weights(2 * GIB, split_bytes=2 * GIB - 40 * MIB, largest_bytes=16 * MIB, heads=16, work=GIB // 2)
CPU = Device(8 * GIB, CPU_CORE, ranks=8)
L4 = Device(24 * GIB, GPUS["L4"], ranks=4, gpus=1, host_bytes=32 * GIB)


@st.composite
def _weights(draw: st.DrawFn) -> Weights:
    whole = draw(st.integers(1, 1 << 40))
    heads = draw(st.sampled_from([0, 1, 4, 6, 16]))
    torch = draw(st.booleans())
    return Weights(
        whole_bytes=whole,
        split_bytes=draw(st.integers(0, whole)) if heads and torch else 0,
        layer_bytes=draw(st.integers(0, whole)) if torch else 0,
        layers=draw(st.integers(0, 24)) if torch else 0,
        largest_bytes=draw(st.integers(1, whole)),
        heads=heads,
        work=draw(st.integers(0, 1 << 38)),
        tokens=draw(st.sampled_from([1, 64])),
        onnx=draw(st.booleans()) or not torch,
        torch=torch,
    )


WEIGHTS = _weights()
DEVICES = st.builds(
    Device,
    memory_bytes=st.integers(MIB, 1 << 38),
    rate=st.sampled_from([CPU_CORE, *GPUS.values()]),
    ranks=st.integers(1, 16),
    gpus=st.sampled_from([0, 1, 4]),
    host_bytes=st.integers(0, 1 << 38),
)
DEADLINES = st.floats(1.0, 60_000.0)


def chosen(weights: Weights, device: Device, deadline_ms: float = 1000.0) -> Choice:
    return choose(AUTO, weights, device, candidates=200, deadline_ms=deadline_ms)


def ranks_of(choice: Choice) -> int:
    return choice.runtime.shards if isinstance(choice.runtime, DeepSpeedConfig) else 1


@given(WEIGHTS, DEVICES, DEADLINES, st.integers(0, 1 << 38))
def test_more_memory_never_leads_to_dispatch_or_more_ranks(
    weights: Weights, device: Device, deadline_ms: float, more: int
) -> None:
    before = chosen(weights, device, deadline_ms)
    after = chosen(weights, replace(device, memory_bytes=device.memory_bytes + more), deadline_ms)
    if not isinstance(before.runtime, AccelerateConfig):
        assert not isinstance(after.runtime, AccelerateConfig)
        assert ranks_of(after) <= ranks_of(before)


@given(WEIGHTS, DEVICES, DEADLINES, DEADLINES)
def test_looser_objective_never_needs_more_ranks(
    weights: Weights, device: Device, one_ms: float, other_ms: float
) -> None:
    tight, loose = sorted([one_ms, other_ms])
    assert ranks_of(chosen(weights, device, loose)) <= ranks_of(chosen(weights, device, tight))


@given(WEIGHTS, DEVICES, DEADLINES, st.integers(0, 16))
def test_more_ranks_on_a_node_never_lead_to_dispatch(
    weights: Weights, device: Device, deadline_ms: float, more: int
) -> None:
    if not isinstance(chosen(weights, device, deadline_ms).runtime, AccelerateConfig):
        after = chosen(weights, replace(device, ranks=device.ranks + more), deadline_ms)
        assert not isinstance(after.runtime, AccelerateConfig)


@given(WEIGHTS, DEVICES, DEADLINES)
def test_chosen_runtime_fits_the_device_and_can_run_the_model(
    weights: Weights, device: Device, deadline_ms: float
) -> None:
    choice = chosen(weights, device, deadline_ms)
    match choice.runtime:
        case DeepSpeedConfig(shards=shards):
            assert weights.torch
            assert weights.heads % shards == 0
            assert shards <= device.ranks
            assert choice.rank_bytes == weights.of_a_rank(shards) <= device.room
        case AccelerateConfig(shards=shards) if shards > 1:
            assert shards <= min(device.ranks, weights.layers)
            assert choice.rank_bytes == weights.of_a_stage(shards) <= device.room
        case AccelerateConfig():
            assert weights.torch
            assert choice.rank_bytes <= weights.whole_bytes
        case OnnxConfig():
            assert weights.onnx
        case TorchConfig():
            assert weights.torch
    assert choice.why


@given(WEIGHTS, DEVICES, DEADLINES)
def test_chooses_one_process_if_it_fits_and_is_fast_enough(
    weights: Weights, device: Device, deadline_ms: float
) -> None:
    in_time = estimate_ms(weights, device, 200) <= OBJECTIVE_SHARE * deadline_ms
    if weights.whole_bytes <= device.room and in_time:
        assert ranks_of(chosen(weights, device, deadline_ms)) == 1


def test_chooses_onnx_for_a_small_ranker_on_a_cpu() -> None:
    choice = chosen(SMALL, CPU)
    assert choice.runtime == OnnxConfig()
    assert choice.rank_bytes == 8 * MIB


def test_chooses_torch_on_a_gpu_or_without_an_onnx_graph() -> None:
    assert chosen(SMALL, L4).runtime == TorchConfig()
    assert chosen(replace(SMALL, onnx=False), CPU).runtime == TorchConfig()


def test_splits_a_slow_model_until_it_meets_the_objective() -> None:
    one_ms = estimate_ms(LARGE, CPU, 200)
    choice = chosen(
        LARGE, CPU, deadline_ms=one_ms
    )  # half of it is the objective: the speedup of 1.8 is too small
    assert ranks_of(choice) == 4
    assert "one process would take" in choice.why
    assert "within the objective" in choice.why


def test_splits_as_far_as_possible_if_no_split_meets_the_objective() -> None:
    choice = chosen(LARGE, CPU, deadline_ms=1.0)
    assert ranks_of(choice) == 8
    assert "over the objective of 0.5 ms" in choice.why


def test_splits_a_large_model_over_the_fewest_gpus_that_hold_it() -> None:
    huge = Weights(40 * GIB, split_bytes=39 * GIB, largest_bytes=GIB, heads=16, work=10 * GIB)
    choice = chosen(huge, L4, deadline_ms=60_000)
    assert ranks_of(choice) == 4
    assert choice.rank_bytes == GIB + 39 * GIB // 4
    assert "do not fit a GPU with 24,576 MiB" in choice.why


def test_dispatches_a_model_that_no_split_fits_within_the_device_memory() -> None:
    alone = replace(CPU, memory_bytes=GIB)
    choice = chosen(LARGE, replace(alone, ranks=1))
    assert isinstance(choice.runtime, AccelerateConfig)
    assert choice.runtime.max_memory_mib == {"cpu": pytest.approx(0.7 * 1024, rel=1e-6)}
    assert "stay on disk" in choice.why
    on_gpus = chosen(replace(LARGE, heads=0, split_bytes=0), replace(L4, memory_bytes=GIB, gpus=2))
    assert isinstance(on_gpus.runtime, AccelerateConfig)
    assert list(on_gpus.runtime.max_memory_mib) == [0, 1, "cpu"]


def test_chooses_a_pipeline_for_a_large_model_whose_heads_cannot_be_split() -> None:
    odd = Weights(40 * GIB, largest_bytes=GIB, heads=3, layer_bytes=36 * GIB, layers=12, work=GIB)
    choice = chosen(odd, L4, deadline_ms=60_000)
    assert choice.runtime == AccelerateConfig(kind="accelerate", shards=3)
    assert choice.rank_bytes == 16 * GIB
    assert "a pipeline of the 12 layers fits" in choice.why


def test_number_of_ranks_divides_the_heads() -> None:
    assert ranks_of(chosen(replace(LARGE, heads=6), CPU, deadline_ms=1.0)) == 2


@pytest.mark.parametrize(
    ("fastest", "runtime"),
    [
        ("xgboost", XgboostConfig(threads=2)),
        ("lightgbm", LightGbmConfig(threads=2)),
        ("onnx", OnnxConfig(threads=2)),
        (None, OnnxConfig(threads=2)),
    ],
)
def test_runs_trees_with_the_runtime_that_their_import_has_chosen(
    fastest: MeasuredRuntime | None, runtime: RuntimeOptions
) -> None:
    trees = Weights(MIB, largest_bytes=MIB, work=MIB, onnx=True, torch=False, fastest=fastest)
    choice = choose(AutoConfig(kind="auto", threads=2), trees, CPU, candidates=200, deadline_ms=100)
    assert choice.runtime == runtime
    assert ("the import of the model measured" in choice.why) == (fastest in {"lightgbm", "xgboost"})


def test_runs_an_onnx_only_model_of_any_size_in_one_process() -> None:
    graph = Weights(20 * GIB, largest_bytes=20 * GIB, work=5 * GIB, onnx=True, torch=False)
    choice = chosen(graph, CPU)
    assert choice.runtime == OnnxConfig()
    assert "can be neither split nor dispatched" in choice.why


def test_least_device_has_the_minimum_of_each_resource_over_pools() -> None:
    assert least([L4, CPU]) == Device(8 * GIB, CPU_CORE, ranks=4, gpus=0, host_bytes=0)
