from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.features.definition import Feature, FeatureSet
from services.errors import ConfigError, StageFailed
from services.stages.candidates import CandidatesConfig, CheckedSource, candidate_source
from tests.pipelines import FEATURES, ITEMS

NEAR, SAMPLE = CandidatesConfig(kind="near", count=20), CandidatesConfig(kind="sample", count=20)


def test_near_returns_the_nearest_first(catalogue: Catalogue) -> None:
    source = candidate_source(NEAR, catalogue, FEATURES)
    asked = np.array([[0.2, 0.7], [0.9, 0.1]])
    rows = source.draw({"position": asked}, 2)
    starts = np.asarray(catalogue.columns["start"], dtype=np.float64)
    scale = np.array([1.0, np.cos(np.radians(starts[:, 0].mean()))])
    for index, position in enumerate(asked):
        distances = np.linalg.norm((starts - position) * scale, axis=1)
        np.testing.assert_array_equal(rows[index], np.argsort(distances, kind="stable")[:20])


def test_near_returns_one_item_for_a_count_of_one(catalogue: Catalogue) -> None:
    source = candidate_source(NEAR.model_copy(update={"count": 1}), catalogue, FEATURES)
    assert source.draw({"position": np.zeros((3, 2))}, 3).shape == (3, 1)


def test_sample_consists_of_catalogue_rows(catalogue: Catalogue) -> None:
    rows = candidate_source(SAMPLE, catalogue, FEATURES).draw({}, 50)
    assert rows.shape == (50, 20)
    assert rows.min() >= 0
    assert rows.max() < ITEMS
    assert len(np.unique(rows)) > 200


@pytest.mark.parametrize("count", [20, ITEMS])
def test_sample_never_has_an_item_twice_in_a_request_and_reaches_every_item(
    catalogue: Catalogue, count: int
) -> None:
    source = candidate_source(SAMPLE.model_copy(update={"count": count}), catalogue, FEATURES)
    rows = source.draw({}, 500)
    assert all(len(set(one)) == count for one in rows.tolist())
    assert len(np.unique(rows)) == ITEMS
    assert len(np.unique(rows[:, 0])) > 200  # the order is random too


def test_rejects_more_candidates_than_items(catalogue: Catalogue) -> None:
    with pytest.raises(
        ConfigError, match="must be at most 500, the number of items in the catalogue, got 501; lower"
    ) as refused:
        candidate_source(NEAR.model_copy(update={"count": 501}), catalogue, FEATURES)
    assert refused.value.field == "candidates.count"


def test_near_needs_positions_of_items_and_of_requests(catalogue: Catalogue) -> None:
    without = FeatureSet(features=(Feature(name="bias", group="user"),))
    with pytest.raises(ConfigError, match="near needs a context feature position"):
        candidate_source(NEAR, catalogue, without)
    assert candidate_source(SAMPLE, catalogue, without)
    manifest = catalogue.manifest
    broken = Catalogue(
        catalogue.root, manifest, {"start": np.full((ITEMS, 2), np.nan), "value": catalogue.columns["value"]}
    )
    with pytest.raises(ConfigError, match=r"column start lacks some"):
        candidate_source(NEAR, broken, FEATURES)
    nowhere = Catalogue(
        catalogue.root, manifest.model_copy(update={"position_column": None}), catalogue.columns
    )
    with pytest.raises(ConfigError, match="near needs a catalogue with a position column"):
        candidate_source(NEAR, nowhere, FEATURES)


class Drawn:
    """A source from another package. It ignores its arguments and always draws the same rows."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self._rows = rows

    def draw(self, context: Mapping[str, NDArray[np.float64]], requests: int) -> NDArray[Any]:
        return self._rows


def test_checks_rows_from_the_source_of_another_package(catalogue: Catalogue) -> None:
    config = CandidatesConfig(kind="other", count=3)
    right = np.array([[0, 1, ITEMS - 1]], dtype=np.int32)
    drawn = CheckedSource(Drawn(right), config, catalogue).draw({}, 1)
    assert (drawn.tolist(), drawn.dtype) == (right.tolist(), np.dtype(np.int64))
    for wrong in (right + 1, right - 1, right[:, :2], right[0], right.astype(np.float64), np.array(None)):
        with pytest.raises(StageFailed, match="candidates: source other returned"):
            CheckedSource(Drawn(wrong), config, catalogue).draw({}, 1)
