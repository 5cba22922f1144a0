"""``mode: compile``: one compilation serves inputs of any length.

PyTorch traces the module as for Inductor, but then runs its own operations, because generating code takes half a
minute. ``scenarios/test_compiled.py`` generates it.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.runtimes import load_runtime
from models.runtimes.base import Runtime
from models.runtimes.compiled.in_process import CompiledRuntime
from models.runtimes.kinds.registry import runtime_config
from models.signature import Signature
from tests.models.runtimes.artifacts import write_model
from tests.models.runtimes.compiled.test_exported import LENGTHS
from tests.models.runtimes.shapes import ARCHITECTURES, random_inputs


@pytest.fixture(
    scope="module",
    params=[
        "history_ranker",
        "dlrm of requests",
        pytest.param("hf_sequence_classification", marks=pytest.mark.slow),
    ],
)
def loaded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Signature, list[Runtime]]:
    root = tmp_path_factory.mktemp("model") / "model"
    artifact = write_model(root, ARCHITECTURES[request.param]())
    eager = load_runtime(root, artifact, runtime_config(kind="torch"))
    return artifact.signature, [
        eager,
        CompiledRuntime(root / artifact.weights, artifact, threads=1, backend="eager"),
    ]


@given(LENGTHS, st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_runs_inputs_of_any_length_without_compiling_again(
    loaded: tuple[Signature, list[Runtime]], lengths: dict[str, int], seed: int
) -> None:
    signature, (eager, compiled) = loaded
    inputs = random_inputs(signature, lengths, seed)
    with torch.compiler.set_stance("fail_on_recompile"):
        scores = compiled.run(inputs)["score"]
    np.testing.assert_allclose(scores, eager.run(inputs)["score"], atol=1e-5, rtol=1e-5)


def test_answers_batches_without_candidates(loaded: tuple[Signature, list[Runtime]]) -> None:
    signature, runtimes = loaded
    lengths = {"requests": 2, "extra_chunks": 0, "candidates": 0, "longest": 3, "tokens": 5}
    inputs = random_inputs(signature, lengths, 0)
    shapes = [runtime.run(inputs)["score"].shape for runtime in runtimes]
    assert shapes[0] == shapes[1]
    assert 0 in shapes[0]
