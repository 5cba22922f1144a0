"""Arrays for compiled code: in the signature's order, contiguous, and with the least lengths."""

import numpy as np

from models.runtimes.pytorch.by_position import ArraysByPosition
from models.signature import InputSpec, PairSpec, Signature
from tests.models.runtimes.test_checked_inputs import RANKER, make_inputs

PAIRS = Signature(
    inputs=(
        InputSpec(name="ids", source="tokens.ids", dtype="int64"),
        InputSpec(name="mask", source="tokens.mask", dtype="int64"),
    ),
    layout="pairs",
    pair=PairSpec(query="context.query", text="details.text", max_length=8),
)


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
