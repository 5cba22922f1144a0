"""Synthetic queries: training and held-out queries have no wording and no route in common."""

from pathlib import Path

import numpy as np
import pytest

from models.features.catalogue import Catalogue
from walks.text.queries import LEAST, WISHES, Walkers


@pytest.fixture(scope="module")
def walkers(tiny_home: Path) -> Walkers:
    return Walkers(Catalogue.open(tiny_home / "walks/tiny/catalogue"))


def test_training_and_held_out_queries_share_no_wording_and_no_route(walkers: Walkers) -> None:
    taught = walkers.ask(200, 8, held_out=False, seed=3)
    held_out = walkers.ask(200, 8, held_out=True, seed=3)

    assert not set(taught.rows.reshape(-1).tolist()) & set(held_out.rows.reshape(-1).tolist())
    words = {wording for wish in WISHES for wording in wish.held_out}
    assert not {word for word in words for query in taught.queries if word in query}
    assert all(not set(wish.taught) & set(wish.held_out) for wish in WISHES)


def test_relevance_is_graded_and_each_list_has_a_matching_route(walkers: Walkers) -> None:
    query_set = walkers.ask(100, 8, held_out=False, seed=4)

    assert query_set.rows.shape == query_set.relevance.shape == (100, 8)
    assert (query_set.relevance > 0).all() and (query_set.relevance <= 1).all()
    assert (query_set.relevance.max(axis=1) >= 0.6**3).all()
    assert (query_set.relevance.min(axis=1) <= 0.5).mean() > 0.8
    assert LEAST**4 <= query_set.relevance.min() < 0.1
    assert all(query.strip() for query in query_set.queries)


def test_the_same_seed_gives_the_same_queries(walkers: Walkers) -> None:
    one, again = (walkers.ask(20, 5, held_out=True, seed=9) for _ in range(2))

    assert one.queries == again.queries
    assert np.array_equal(one.rows, again.rows)
