"""A ranker over a pipeline of ranks: scores and releases as in one process, and a part of its memory in each rank."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.meters.memory import memory_of
from models.architectures import build_architecture
from models.runtimes import load_runtime
from models.runtimes.base import Runtime
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.kinds.torch import TorchConfig
from models.runtimes.pipeline import build_stages
from models.runtimes.pipeline.cutting import MOST_ROUNDS
from models.training.export import SAFETENSORS
from tests.models.text.crossencoders import LAYERS
from tests.models.worlds import make_ranker
from tests.services.sharding.running_group import RunningGroup, assert_same, deep_ranker, written

MIB = 1 << 20
REQUESTS = st.lists(st.tuples(st.integers(0, 150), st.integers(0, 8)), min_size=1, max_size=6).filter(
    lambda shapes: any(count for count, _ in shapes)
)
MICRO_BATCHES = (1, 2, 7, 256)
DTYPES = ("fp32", "bf16")
NARROW_TOLERANCE = 0.02
"""The share of the largest score by which bfloat16 may change with the cuts, because products add in another order."""


@pytest.fixture(scope="module")
def ways(pipeline: RunningGroup) -> dict[tuple[str, int], Runtime]:
    """Return the ranker over the ranks, by dtype and micro-batches."""
    options = pipeline.config.model_dump()
    return {
        (dtype, micro_batches): pipeline.group.load_runtime(
            pipeline.root / "ranker",
            pipeline.artifact,
            AccelerateConfig.model_validate({**options, "dtype": dtype, "micro_batches": micro_batches}),
        )
        for dtype in DTYPES
        for micro_batches in MICRO_BATCHES
    }


@pytest.fixture(scope="module")
def narrow(pipeline: RunningGroup) -> Runtime:
    """Return the ranker in bfloat16 in one process."""
    config = AccelerateConfig(kind="accelerate", dtype="bf16")
    return load_runtime(pipeline.root / "ranker", pipeline.artifact, config)


@settings(max_examples=30)
@given(shapes=REQUESTS, micro_batches=st.sampled_from(MICRO_BATCHES))
def test_scores_equal_those_of_one_process_for_any_micro_batches(
    pipeline: RunningGroup,
    ways: dict[tuple[str, int], Runtime],
    shapes: list[tuple[int, int]],
    micro_batches: int,
) -> None:
    inputs = pipeline.inputs(*shapes)
    assert_same(ways["fp32", micro_batches].run(inputs), pipeline.whole.run(inputs))


@settings(max_examples=20)
@given(shapes=REQUESTS, micro_batches=st.sampled_from(MICRO_BATCHES))
def test_bfloat16_scores_equal_those_of_one_process_in_bfloat16(
    pipeline: RunningGroup,
    ways: dict[tuple[str, int], Runtime],
    narrow: Runtime,
    shapes: list[tuple[int, int]],
    micro_batches: int,
) -> None:
    inputs = pipeline.inputs(*shapes)
    scores = ways["bf16", micro_batches].run(inputs)
    assert_same(scores, narrow.run(inputs), NARROW_TOLERANCE)
    expected = pipeline.whole.run(inputs)["score"]
    np.testing.assert_allclose(scores["score"], expected, atol=0.1 * np.abs(expected).max(initial=0.0))


def test_a_release_is_loaded_and_dropped_while_batches_of_the_active_one_run(pipeline: RunningGroup) -> None:
    inputs = pipeline.inputs((20, 3), (7, 0))
    expected = pipeline.sharded.run(inputs)["score"]
    results: list[np.ndarray] = []
    ran, stop = threading.Event(), threading.Event()

    def serve() -> None:
        while not stop.is_set():
            results.append(pipeline.sharded.run(inputs)["score"])
            ran.set()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        for seed in (5, 6):
            artifact = written(pipeline.root, deep_ranker(LAYERS, seed), f"next-{seed}")
            root = pipeline.root / artifact.name
            whole = load_runtime(root, artifact, TorchConfig())
            following = pipeline.group.load_runtime(root, artifact, pipeline.config)
            assert_same(following.run(inputs), whole.run(inputs))
            assert np.abs(following.run(inputs)["score"] - expected).max() > 0.1
            del following
            pipeline.group.check()
            ran.clear()
            assert ran.wait(20)
    finally:
        stop.set()
        thread.join()
    assert all(np.array_equal(scores, expected) for scores in results)


@pytest.mark.slow
def test_each_rank_holds_its_own_layers_only(pipeline: RunningGroup) -> None:
    ranks = pipeline.config.shards
    if ranks == 1:
        pytest.skip("the only rank is this process")
    sizes = {"width": 512, "heads": 8, "layers": 5, "hidden": 2048}
    module = build_architecture({**make_ranker().options.model_dump(), **sizes})
    artifact = written(pipeline.root, module, "wide")
    whole_bytes = (pipeline.root / "wide" / SAFETENSORS).stat().st_size
    owned = []
    for rank in range(ranks):
        stages = build_stages(module, artifact.signature, rank, ranks, MOST_ROUNDS)
        owned.append(sum(t.nbytes for name, t in module.state_dict().items() if stages.owns(name)))
    assert sum(owned) == sum(tensor.nbytes for tensor in module.state_dict().values())  # none is held twice
    pids = [pipeline.rank(number).pid for number in range(1, ranks)]
    before = [memory_of(pid) for pid in pids]
    loaded = pipeline.group.load_runtime(pipeline.root / "wide", artifact, pipeline.config)
    grown = [sum(memory_of(pid)) - sum(then) for pid, then in zip(pids, before, strict=True)]
    for number, (growth, share) in enumerate(zip(grown, owned[1:], strict=True), 1):
        assert share <= growth + MIB, f"rank {number} lacks weights"
        assert growth < share + 8 * MIB, f"rank {number} holds more than its layers"
        assert growth < whole_bytes * 0.7
    del loaded
    pipeline.group.check()
    after = [memory_of(pid)[0] for pid in pids]
    assert all(now < sum(then) + 8 * MIB for now, then in zip(after, before, strict=True))
