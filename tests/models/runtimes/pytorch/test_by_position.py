"""Arrays for compiled code: in the signature's order, contiguous, and with the least lengths."""

import numpy as np

from models.runtimes.pytorch.by_position import ArraysByPosition
from models.signature import Inputs, InputSpec, PairSpec, Signature

RANKER = Signature(
    inputs=(
        InputSpec(name="item", source="item.attributes", shape=(4,)),
        InputSpec(name="past", source="user.history:list"),
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


def make_inputs(longest: int = 2) -> Inputs:
    return {
        "item": np.ones((2, 3, 4), np.float32),
        "past": np.ones((1, longest), np.float32),
        "mask": np.ones((1, longest), np.bool_),
        "chunk_of": np.zeros(2, np.int64),
    }


def test_returns_the_same_arrays_in_the_signatures_order() -> None:
    inputs = make_inputs()
    arrays = ArraysByPosition(RANKER)(dict(reversed(inputs.items())))
    assert all(array is inputs[spec.name] for array, spec in zip(arrays, RANKER.inputs, strict=True))


def test_makes_strided_arrays_contiguous() -> None:
    inputs = make_inputs()
    inputs["item"] = np.ones((2, 4, 3), np.float32).transpose(0, 2, 1)
    assert all(array.flags.c_contiguous for array in ArraysByPosition(RANKER)(inputs))


def test_pads_histories_without_entries_to_one_masked_slot() -> None:
    _, past, mask, _ = ArraysByPosition(RANKER)(make_inputs(longest=0))
    assert past.shape == mask.shape == (1, 1)
    assert not mask.any()


def test_pads_texts_of_one_token_to_two() -> None:
    ids, mask = ArraysByPosition(PAIRS)({"ids": np.full((3, 1), 7), "mask": np.ones((3, 1), np.int64)})
    assert ids.tolist() == [[7, 0]] * 3
    assert mask.tolist() == [[1, 0]] * 3
