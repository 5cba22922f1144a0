"""In the text benchmark, all implementations score the same pairs, with any padding."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.cases.minilm import TextRequests
from benchmarks.texts import SIDES, calls_of, padded
from models.artifact import Artifact
from models.runtimes import load_runtime
from models.runtimes.kinds.onnx import OnnxConfig
from tests.texts import WORDS, write_text_model


@pytest.mark.parametrize("side", SIDES)
def test_every_side_scores_the_same_pairs(tmp_path: Path, side: str) -> None:
    write_text_model(tmp_path / "a")
    artifact = Artifact.load(tmp_path / "a")
    texts = [" ".join(WORDS[: n % 6]) for n in range(20)]
    workload = TextRequests.of(tmp_path / "a", artifact, [texts])
    runtime = load_runtime(tmp_path / "a", artifact, OnnxConfig())

    calls = calls_of(workload, side, 0, 60)
    scores = np.concatenate([runtime.run(call)["score"] for call in calls])

    (whole,) = calls_of(workload, "longest", 0, 60)
    assert sorted(scores.tolist()) == sorted(runtime.run(whole)["score"].tolist())
    assert (len(calls) > 1) == (side == "by length")


def test_padding_is_masked() -> None:
    inputs = {"input_ids": np.array([[5, 6]]), "attention_mask": np.array([[1, 1]])}

    wide = padded(inputs, 4, 9)

    assert wide["input_ids"].tolist() == [[5, 6, 9, 9]]
    assert wide["attention_mask"].tolist() == [[1, 1, 0, 0]]
