"""The listwise reranker: the list counts, its padding and its order do not."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures.listwise import ListwiseReranker
from tests.models.worlds import ATTRIBUTES, RERANKER, make_reranker

MODEL = make_reranker()
TOLERANCE = 1e-5


def inputs_of(lengths: list[int], seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    count, longest = len(lengths), max(lengths)
    return {
        "item_attributes": torch.randn(count, longest, ATTRIBUTES, generator=generator),
        "hour": torch.rand(count, generator=generator) * 24,
        "rain_mm": torch.rand(count, generator=generator),
        "ranked": torch.randn(count, longest, generator=generator),
        "mask": torch.arange(longest)[None] < torch.tensor(lengths)[:, None],
    }


def scores_of(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.inference_mode():
        scores: torch.Tensor = MODEL(inputs)
    return scores


def test_before_training_the_rankers_scores_pass_unchanged() -> None:
    inputs = inputs_of([4, 2])
    with torch.inference_mode():
        assert torch.equal(ListwiseReranker(RERANKER)(inputs), inputs["ranked"])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_padding_and_company_change_nothing(lengths: list[int], seed: int) -> None:
    inputs = inputs_of(lengths, seed)
    together = scores_of(inputs)
    for place, length in enumerate(lengths):
        alone = {
            name: x[place : place + 1, :length] if x.dim() > 1 else x[place : place + 1]
            for name, x in inputs.items()
        }
        np.testing.assert_allclose(together[place, :length], scores_of(alone)[0], atol=TOLERANCE)


def test_what_stands_in_padded_slots_changes_nothing() -> None:
    inputs = inputs_of([3, 5])
    before = scores_of(inputs)[0, :3]
    inputs["item_attributes"][0, 3:] = 1e6
    inputs["ranked"][0, 3:] = -1e6
    np.testing.assert_allclose(scores_of(inputs)[0, :3], before, atol=TOLERANCE)


def test_the_order_of_the_list_changes_no_score() -> None:
    inputs = inputs_of([6])
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    turned = {name: x[:, order] if x.dim() > 1 else x for name, x in inputs.items()}
    np.testing.assert_allclose(scores_of(turned), scores_of(inputs)[:, order], atol=TOLERANCE)


def test_another_candidate_changes_the_scores_of_its_list() -> None:
    inputs = inputs_of([5])
    before = scores_of(inputs)
    inputs["item_attributes"][0, 4] += 1.0
    assert (scores_of(inputs) - before)[0, :4].abs().min() > TOLERANCE


def test_equal_scores_and_single_candidates_stay_finite() -> None:
    inputs = inputs_of([1, 4])
    inputs["ranked"].fill_(2.0)
    assert torch.isfinite(scores_of(inputs)).all()
