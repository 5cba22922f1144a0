"""Training lists: every list occurs once per epoch, with its own labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.assembly import InputAssembler
from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch, offsets_of
from models.training.examples.lists import Lists
from models.training.examples.usable_lists import thinned, without_unknown_items
from tests.models.worlds import make_batch, make_ranker


@pytest.fixture
def lists(catalogue: Catalogue) -> Lists:
    batch = make_batch([3, 5, 2, 4], [1, 0, 3, 2])
    labels = np.arange(14, dtype=np.float32)
    return Lists(batch, labels, InputAssembler(make_ranker().signature(""), catalogue, whole_lists=True))


def test_a_step_has_the_labels_of_its_lists(lists: Lists) -> None:
    step = lists.step(np.array([2, 0]))
    assert step.labels.tolist() == [[8, 9, 0], [0, 1, 2]]
    assert step.present.tolist() == [[True, True, False], [True, True, True]]
    assert step.inputs["item_popularity"].shape == (2, 3)
    assert step.inputs["history_mask"].shape == (2, 3)


def test_subset_has_the_labels_of_its_lists(lists: Lists) -> None:
    part = lists.subset(np.array([3, 1]))
    assert len(part) == 2
    assert part.labels.tolist() == [10, 11, 12, 13, 3, 4, 5, 6, 7]


@given(st.integers(1, 40), st.integers(1, 7), st.integers(0, 99))
def test_every_epoch_has_every_list_once(count: int, size: int, seed: int) -> None:
    batch = RaggedBatch(offsets=offsets_of(np.arange(count) % 5 + 1), rows=np.zeros(0, dtype=np.int64))
    lists = Lists(batch, np.zeros(0, dtype=np.float32), None)  # type: ignore[arg-type]
    steps = lists.shuffled(size, np.random.default_rng(seed))
    assert sorted(np.concatenate(steps).tolist()) == list(range(count))
    assert max(len(step) for step in steps) <= size
    again = lists.shuffled(size, np.random.default_rng(seed))
    assert all((a == b).all() for a, b in zip(steps, again, strict=True))
    assert sorted(np.concatenate(list(lists.by_size(size))).tolist()) == list(range(count))


def test_drops_items_that_the_catalogue_no_longer_has() -> None:
    batch = make_batch([3, 2, 2], [0, 0, 0])
    rows = np.array([1, -1, 3, -1, 4, 5, 6])
    batch = RaggedBatch(offsets=batch.offsets, rows=rows, requests=batch.requests)
    remaining, labels = without_unknown_items(batch, np.arange(7, dtype=np.float32))
    assert remaining.offsets.tolist() == [0, 2, 4]  # the second list had one candidate left, and was dropped
    assert remaining.rows.tolist() == [1, 3, 5, 6]
    assert labels.tolist() == [0, 2, 5, 6]


def test_thinning_keeps_the_first_and_the_last() -> None:
    batch = make_batch([1] * 9, [0] * 9)
    remaining, labels = thinned(batch, np.arange(9, dtype=np.float32), 3)
    assert labels.tolist() == [0, 4, 8]
    assert len(remaining) == 3
    assert thinned(batch, labels, None)[0] is batch
