"""The comparison of runtimes measures every side that can load a model, and states why the others cannot."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.runtimes.__main__ import measure
from benchmarks.runtimes.parity import differences
from benchmarks.runtimes.report import tables
from benchmarks.runtimes.sides import load_sides, sides
from benchmarks.runtimes.speed import Budget, time_sides
from benchmarks.runtimes.subjects import Subject, text_subject
from models.artifact import Artifact
from models.runtimes.kinds.registry import RUNTIMES
from models.signature import Inputs
from tests.models.runtimes.artifacts import write_model
from tests.models.runtimes.shapes import make_dlrm, random_inputs
from tests.pipelines import make_pipeline
from tests.texts import WORDS, write_text_model

ONE_ROUND = Budget(rounds=1, window_s=0, limit_s=0)
ENGINES = [side for side in sides() if side != "torch aot"]  # the compiler takes half a minute


def small_subject(root: Path) -> Subject:
    """Return a pipeline's small model, which has only an ONNX graph."""
    make_pipeline(root)

    def request(candidates: int) -> list[Inputs]:
        one = np.ones(1, np.float32)
        return [
            {
                "value": np.arange(candidates, dtype=np.float32),
                "bias": one,
                "shift": one,
                "request_of": np.zeros(candidates, np.int64),
            }
        ]

    def batches(count: int) -> Iterator[Inputs]:
        yield from (request(size)[0] for size in range(1, count + 1))

    return Subject("small", root / "model", Artifact.load(root / "model"), request, batches)


def test_every_built_in_kind_is_compared_or_has_a_benchmark_of_its_own() -> None:
    kinds = {config.kind for config in sides().values()}
    assert kinds | {"accelerate", "deepspeed", "auto", "python"} == set(RUNTIMES.builtins)


def test_figures_have_every_side_that_loads_the_model(tmp_path: Path) -> None:
    selected = {side: sides()[side] for side in ENGINES}

    figures = measure(small_subject(tmp_path), selected, ONE_ROUND, (1, 3), ("parity", "speed"), batches=3)

    measured = {"onnx", "openvino", "openvino dynamic"}
    assert measured <= {speed.side for speed in figures.speeds}
    assert {speed.candidates for speed in figures.speeds} == {1, 3}
    assert all(each.within for each in figures.parity)
    assert figures.parity[0].reference == "onnx"
    assert "no .safetensors file" in figures.refused["torch"]
    assert "torchscript: runtime.kind" in tables(figures)


def test_pytorch_is_the_reference_of_models_with_an_architecture(tmp_path: Path) -> None:
    module = make_dlrm(dense_per_request=False)
    artifact = write_model(tmp_path / "a", module)
    loaded = load_sides(tmp_path / "a", artifact, {side: sides()[side] for side in ENGINES})
    assert loaded.reference == "torch"
    assert {"torch", "torchscript"} == loaded.runtimes.keys()
    inputs = random_inputs(
        artifact.signature,
        {"requests": 1, "extra_chunks": 0, "candidates": 3, "longest": 1, "tokens": 2},
        seed=0,
    )
    assert [speed.side for speed in time_sides(loaded.runtimes, 3, [[inputs]], ONE_ROUND)] == [
        "torch",
        "torchscript",
    ]


def test_requests_of_a_text_ranker_are_several_calls(tmp_path: Path) -> None:
    write_text_model(tmp_path / "a")
    artifact = Artifact.load(tmp_path / "a")
    subject = text_subject("text", tmp_path / "a", artifact, [" ".join(WORDS)])
    calls = subject.request(400)
    assert sum(len(call["input_ids"]) for call in calls) == 400
    assert len(calls) > 1


@pytest.mark.parametrize(
    ("scores", "is_narrow", "within"),
    [
        ([1.0, -2.0], False, True),
        ([1.0, -2.001], False, False),
        ([1.0, -2.001], True, True),
        ([1.0, -1.5], True, False),
        ([1.0, np.nan], True, False),
        ([1.0], False, False),
    ],
)
def test_verdict_depends_on_the_precision(scores: list[float], is_narrow: bool, within: bool) -> None:
    expected = {"score": np.array([1.0, -2.0], np.float32)}
    found = differences(expected, {"score": np.array(scores, np.float32)}, is_narrow=is_narrow)
    assert found[2] == within
