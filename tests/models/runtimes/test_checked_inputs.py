"""Checks of arrays before compiled code reads them."""

import numpy as np
import pytest

from models.errors import RuntimeFailure
from models.runtimes.checked_inputs import CheckedInputs
from models.signature import Inputs, InputSpec, Signature

RANKER = Signature(
    inputs=(
        InputSpec(name="item", source="item.attributes", shape=(4,)),
        InputSpec(name="past", source="user.history:list"),
        InputSpec(name="mask", source="user.history:mask", dtype="bool"),
        InputSpec(name="chunk_of", source="batch.chunk_of", dtype="int64"),
    ),
    layout="chunks",
)


def make_inputs(candidates: int = 3, longest: int = 2) -> Inputs:
    return {
        "item": np.ones((2, candidates, 4), np.float32),
        "past": np.ones((1, longest), np.float32),
        "mask": np.ones((1, longest), np.bool_),
        "chunk_of": np.zeros(2, np.int64),
    }


def test_returns_the_length_of_each_axis() -> None:
    assert CheckedInputs(RANKER).lengths(make_inputs()) == {
        "requests": 1,
        "chunks": 2,
        "candidates": 3,
        "longest user.history": 2,
    }


def test_lists_of_different_features_have_lengths_of_their_own() -> None:
    other = InputSpec(name="other", source="user.other:list")
    signature = RANKER.model_copy(update={"inputs": (*RANKER.inputs, other)})
    lengths = CheckedInputs(signature).lengths(make_inputs() | {"other": np.ones((1, 7), np.float32)})
    assert (lengths["longest user.history"], lengths["longest user.other"]) == (2, 7)


def test_offsets_have_one_entry_more_than_there_are_requests() -> None:
    signature = Signature(
        inputs=(
            InputSpec(name="age", source="user.age"),
            InputSpec(name="offsets", source="batch.offsets", dtype="int64"),
        )
    )
    check, age = CheckedInputs(signature).lengths, np.ones(2, np.float32)
    assert check({"age": age, "offsets": np.zeros(3, np.int64)}) == {"requests": 2, "offsets": 3}
    with pytest.raises(RuntimeFailure, match=r"offsets: must be int64 \(offsets=3\), got int64 \[2\]"):
        check({"age": age, "offsets": np.zeros(2, np.int64)})


@pytest.mark.parametrize(
    ("name", "array", "problem"),
    [
        ("item", np.ones((2, 3, 4)), r"input item: must be float32 .* got float64 \[2, 3, 4\]"),
        ("item", np.ones((2, 3, 5), np.float32), r"float32 \(chunks, candidates, 4\), got float32 \[2, 3, 5\]"),
        ("item", np.ones((2, 12), np.float32), r"got float32 \[2, 12\]"),
        ("mask", np.ones((1, 7), np.bool_), r"input mask: must be bool \(requests=1, longest user.history=2\)"),
        ("chunk_of", np.zeros(3, np.int64), r"input chunk_of: must be int64 \(chunks=2\), got int64 \[3\]"),
        ("chunk_of", np.zeros((), np.int64), r"got int64 \[\]"),
    ],
)  # fmt: skip
def test_refuses_arrays_that_do_not_fit_the_signature(name: str, array: np.ndarray, problem: str) -> None:
    with pytest.raises(RuntimeFailure, match=problem):
        CheckedInputs(RANKER).lengths(make_inputs() | {name: array})


def test_refuses_a_missing_array() -> None:
    inputs = make_inputs()
    del inputs["past"]
    with pytest.raises(RuntimeFailure, match="input past: is missing, got item"):
        CheckedInputs(RANKER).lengths(inputs)
