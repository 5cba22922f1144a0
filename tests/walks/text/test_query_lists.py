"""Synthetic queries as impressions."""

from pathlib import Path

import numpy as np

from models.features.catalogue import Catalogue
from models.impressions import read_impressions
from models.ragged import RaggedArray
from services.stages.features import load_definitions
from walks.text.queries import QuerySet
from walks.text.query_lists import QUERY, TRAIN, VALID, batch_of, write_query_lists
from walks.world import world_at


def test_queries_become_requests_and_their_routes_candidates() -> None:
    batch = batch_of(
        QuerySet(["by the sea", "café"], np.array([[3, 1], [2, 0]]), np.zeros((2, 2), np.float32))
    )

    column = batch.requests[QUERY]
    assert isinstance(column, RaggedArray)
    spans = zip(column.offsets[:-1], column.offsets[1:], strict=True)
    texts = [bytes(column.values[begin:end]).decode() for begin, end in spans]
    assert texts == ["by the sea", "café"]
    assert batch.rows.tolist() == [3, 1, 2, 0]
    assert batch.offsets.tolist() == [0, 2, 4]


def test_validation_has_other_queries_and_routes_than_training(tiny_home: Path) -> None:
    world = world_at("tiny", tiny_home)
    feature_hash = load_definitions(world.definitions).content_hash
    catalogue = Catalogue.open(world.catalogue)

    write_query_lists(world, feature_hash, seed=3)

    rows = []
    for split, (queries, routes) in (("train", TRAIN), ("valid", VALID)):
        batch, labels = read_impressions(
            world.queries(split), feature_hash=feature_hash, keys_to_rows=catalogue.rows_of_keys
        )
        assert len(batch) == queries
        assert set(batch.lengths.tolist()) == {routes}
        assert labels.min() >= 0 and labels.max() > 0.5
        rows.append(set(batch.rows.tolist()))
    assert not rows[0] & rows[1]
