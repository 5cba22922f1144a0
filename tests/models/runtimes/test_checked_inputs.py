"""Checks of arrays before compiled code reads them."""

import numpy as np
import pytest

from models.errors import RuntimeFailure
from models.runtimes.checked_inputs import CheckedInputs, EmptyBatches
from models.signature import Inputs, InputSpec, PairSpec, Signature

RANKER = Signature(
    inputs=(
        InputSpec(name="item", source="item.attributes", shape=(4,)),
        InputSpec(name="past", source="user.rating:list"),
        InputSpec(name="mask", source="user.history:mask", dtype="bool"),
        InputSpec(name="chunk_of", source="batch.chunk_of", dtype="int64"),
    ),
    layout="chunks",
)
PAIRS = Signature(
    inputs=(
        InputSpec(name="ids", source="tokens.ids", dtype="int64"),
        InputSpec(name="mask", source="tokens.mask", dtype="int64"),
    ),
    layout="pairs",
    pair=PairSpec(query="context.query", text="details.text", max_length=8),
)


def make_inputs(candidates: int = 3, longest: int = 2) -> Inputs:
    return {
        "item": np.ones((2, candidates, 4), np.float32),
        "past": np.ones((1, longest), np.float32),
        "mask": np.ones((1, longest), np.bool_),
        "chunk_of": np.zeros(2, np.int64),
    }


def test_returns_arrays_in_the_signatures_order() -> None:
    inputs = make_inputs()
    arrays = CheckedInputs(RANKER)(dict(reversed(inputs.items())))
    assert [array is inputs[spec.name] for array, spec in zip(arrays, RANKER.inputs, strict=True)] == [
        True
    ] * 4


def test_makes_strided_arrays_contiguous() -> None:
    inputs = make_inputs()
    inputs["item"] = np.ones((2, 4, 3), np.float32).transpose(0, 2, 1)
    assert all(array.flags.c_contiguous for array in CheckedInputs(RANKER)(inputs))


@pytest.mark.parametrize(
    ("name", "array", "problem"),
    [
        ("item", np.ones((2, 3, 4)), r"input item: must be float32 .* got float64 \[2, 3, 4\]"),
        ("item", np.ones((2, 3, 5), np.float32), r"float32 \(chunks, candidates, 4\), got float32 \[2, 3, 5\]"),
        ("item", np.ones((2, 12), np.float32), r"got float32 \[2, 12\]"),
        ("mask", np.ones((1, 7), np.bool_), r"input mask: must be bool \(requests=1, longest=2\)"),
        ("chunk_of", np.zeros(3, np.int64), r"input chunk_of: must be int64 \(chunks=2\), got int64 \[3\]"),
        ("chunk_of", np.zeros((), np.int64), r"got int64 \[\]"),
    ],
)  # fmt: skip
def test_refuses_arrays_that_do_not_fit_the_signature(name: str, array: np.ndarray, problem: str) -> None:
    with pytest.raises(RuntimeFailure, match=problem):
        CheckedInputs(RANKER)(make_inputs() | {name: array})


def test_refuses_a_missing_array() -> None:
    inputs = make_inputs()
    del inputs["past"]
    with pytest.raises(RuntimeFailure, match="input past: is missing, got item, mask, chunk_of"):
        CheckedInputs(RANKER)(inputs)


def test_pads_histories_without_entries_to_one_masked_slot() -> None:
    _, past, mask, _ = CheckedInputs(RANKER)(make_inputs(longest=0))
    assert past.shape == mask.shape == (1, 1)
    assert not mask.any()


def test_pads_texts_of_one_token_to_two() -> None:
    ids, mask = CheckedInputs(PAIRS)({"ids": np.full((3, 1), 7), "mask": np.ones((3, 1), np.int64)})
    assert ids.tolist() == [[7, 0]] * 3
    assert mask.tolist() == [[1, 0]] * 3


def test_answers_only_batches_without_candidates() -> None:
    empty = EmptyBatches(RANKER)
    assert empty.answer(make_inputs()) is None
    answer = empty.answer(make_inputs(candidates=0))
    assert answer is not None
    assert answer["score"].shape == (2, 0)
    assert answer["score"].dtype == np.float32
