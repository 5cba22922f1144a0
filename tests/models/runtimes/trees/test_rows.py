"""The only input of a tree model, which is checked by name, shape and type."""

import numpy as np
import pytest

from models.errors import RuntimeFailure
from models.runtimes.trees.rows import Rows
from models.signature import Inputs, OutputSpec
from tests.models.runtimes.trees.models import WIDTH, rows, signature


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "input features: is missing"),
        ({"other": rows(2)}, r"input features: is missing, got other\[2, 5\]"),
        ({"features": rows(2)[:, :3]}, r"must be float32 \(candidates, 5\), got float32 \[2, 3\]"),
        ({"features": rows(2)[0]}, r"got float32 \[5\]"),
        ({"features": rows(2).astype(np.float64)}, r"got float64 \[2, 5\]"),
    ],
)
def test_other_inputs_than_the_declared_one_are_refused(inputs: Inputs, message: str) -> None:
    with pytest.raises(RuntimeFailure, match=message):
        Rows(signature(), WIDTH, "model").of(inputs)


def test_a_signature_of_another_width_is_refused() -> None:
    with pytest.raises(
        RuntimeFailure, match="one float32 input of 5 numbers per candidate, got features float32"
    ):
        Rows(signature(7), WIDTH, "model")


def test_a_signature_with_several_outputs_is_refused() -> None:
    outputs = (OutputSpec(name="a"), OutputSpec(name="b"))
    with pytest.raises(RuntimeFailure, match="one output, the score, got a, b"):
        Rows(signature().model_copy(update={"outputs": outputs}), WIDTH, "model")


def test_scores_have_the_shape_of_a_converted_graph() -> None:
    scores = Rows(signature(), WIDTH, "model").scores(np.arange(3.0))
    assert {name: (values.shape, values.dtype) for name, values in scores.items()} == {
        "score": ((3, 1), np.dtype(np.float32))
    }
