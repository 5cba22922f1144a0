"""The walks' table on the tiny world, and the flat rows for trees."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.ranking.flat import FlatFeatures
from benchmarks.ranking.walks import walks_quality
from models.features.catalogue import Catalogue
from services.config.loading import load_config
from tests.models.worlds import FEATURES, RANKER, make_batch, make_catalogue, make_ranker


def test_evaluates_every_method_on_the_same_lists(tiny_home: Path) -> None:
    pipeline = load_config(tiny_home / "walks.yaml")
    result = walks_quality(pipeline, tiny_home, threads=1, seed=1, lambdamart_lists=200)
    means = {row["method"]: row["ndcg_at_10"]["mean"] for row in result["methods"]}
    assert {
        "ranker",
        "ranker + reranker",
        "distilled",
        "LambdaMART",
        "popularity",
        "random",
        "oracle",
    } == set(means)
    assert means["oracle"] == max(means.values())
    assert means["LambdaMART"] > means["random"]
    assert result["lists"] > 0


@pytest.fixture
def small(tmp_path: Path) -> Catalogue:
    return make_catalogue(tmp_path / "catalogue")


def test_row_of_a_candidate_does_not_depend_on_its_batch(small: Catalogue) -> None:
    features = FlatFeatures(make_ranker().signature(FEATURES.content_hash), RANKER.distances, small)
    batch = make_batch([3, 7, 1], [4, 0, 8])
    whole = features(batch)
    assert whole.shape[0] == 11
    assert np.isfinite(whole).all()
    alone = np.concatenate([features(batch.take(np.array([at]))) for at in range(3)])
    np.testing.assert_allclose(whole, alone, atol=1e-5)


def test_rated_candidate_has_similarity_1_to_the_past(small: Catalogue) -> None:
    features = FlatFeatures(make_ranker().signature(FEATURES.content_hash), RANKER.distances, small)
    batch = make_batch([30], [8])
    past = small.rows_of_keys(batch.requests["user.history"].values)  # type: ignore[union-attr]
    rows = features(batch)
    largest = rows[:, -(3 + 2 * 2) + 1]
    rated = np.isin(batch.rows, past[past >= 0])
    np.testing.assert_allclose(largest[rated], 1.0, atol=1e-5)
    assert (largest <= 1.0 + 1e-5).all()
