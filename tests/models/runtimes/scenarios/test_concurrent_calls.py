"""Runtimes that allow several instances: threads that call one loaded model get the scores of calls one by one."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.artifact import Artifact
from models.runtimes import load_cut_runtime, load_runtime
from models.runtimes.base import CutRuntime, Runtime
from models.runtimes.kinds.registry import runtime_config
from models.signature import ENCODED_HISTORY, Inputs
from tests.models.runtimes.artifacts import write_model
from tests.models.runtimes.shapes import ARCHITECTURES, random_inputs

THREADS = 4
KINDS: Mapping[str, Mapping[str, Any]] = {
    "onnx": {"kind": "onnx"},
    "onnx, 2 threads": {"kind": "onnx", "threads": 2},
    "onnx, io_binding": {"kind": "onnx", "io_binding": True},
    "onnx, parallel": {"kind": "onnx", "threads": 2, "execution_mode": "parallel"},
    "torch": {"kind": "torch"},
    "torchscript": {"kind": "torchscript"},
    "openvino": {"kind": "openvino", "threads": 2, "streams": 2, "shapes": "dynamic"},
}
LENGTHS = st.fixed_dictionaries(
    {
        "requests": st.integers(1, 4),
        "extra_chunks": st.just(0),
        "candidates": st.integers(1, 60),
        "longest": st.integers(1, 8),
        "tokens": st.just(4),
    }
)


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Artifact]:
    root, module = tmp_path_factory.mktemp("concurrent") / "model", ARCHITECTURES["history_ranker"]()
    return root, write_model(root, module, onnx=True)


@pytest.fixture(scope="module", params=KINDS)
def loaded(request: pytest.FixtureRequest, ranker: tuple[Path, Artifact]) -> tuple[Runtime, Artifact]:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    config = runtime_config(**KINDS[request.param])
    assert config.max_instances > 1
    return load_runtime(*ranker, config), ranker[1]


@settings(max_examples=15, deadline=None)
@given(shapes=st.lists(LENGTHS, min_size=2, max_size=6), seed=st.integers(0, 1000))
def test_concurrent_calls_of_any_shapes_return_the_scores_of_single_calls(
    loaded: tuple[Runtime, Artifact], shapes: list[dict[str, int]], seed: int
) -> None:
    runtime, artifact = loaded
    calls = [random_inputs(artifact.signature, lengths, seed) for lengths in shapes] * THREADS
    expected = [runtime.run(inputs) for inputs in calls]
    with ThreadPoolExecutor(THREADS) as pool:
        outputs = list(pool.map(runtime.run, calls))
    for output, wanted in zip(outputs, expected, strict=True):
        assert output.keys() == wanted.keys()
        for name, values in output.items():
            np.testing.assert_array_equal(values, wanted[name])


def test_halves_of_a_cut_model_return_the_same_scores_from_several_threads(
    ranker: tuple[Path, Artifact],
) -> None:
    runtime: CutRuntime = load_cut_runtime(*ranker, runtime_config(kind="onnx"))
    lengths = {"requests": 3, "extra_chunks": 0, "candidates": 20, "longest": 5, "tokens": 4}
    calls = [random_inputs(ranker[1].signature, lengths, seed) for seed in range(4 * THREADS)]

    def in_two(inputs: Inputs) -> Inputs:
        encoded = runtime.encode({spec.name: inputs[spec.name] for spec in runtime.encode_signature.inputs})
        names = [spec.name for spec in runtime.score_signature.inputs if spec.name != ENCODED_HISTORY]
        return runtime.score({name: inputs[name] for name in names}, encoded)

    expected = [in_two(inputs) for inputs in calls]
    with ThreadPoolExecutor(THREADS) as pool:
        for output, wanted in zip(pool.map(in_two, calls), expected, strict=True):
            np.testing.assert_array_equal(output["score"], wanted["score"])
