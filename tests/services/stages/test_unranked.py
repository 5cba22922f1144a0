"""The order of a pipeline without a ranker."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ragged import RaggedBatch, offsets_of
from services.errors import ConfigError
from services.stages.popular import PopularConfig
from services.stages.unranked import GivenStage, unranked_stage
from tests.services.stages.test_popular import catalogue_of

NAN, INF = float("nan"), float("inf")


def batch_of(lengths: list[int], rows: list[int]) -> RaggedBatch:
    return RaggedBatch(offsets=offsets_of(np.array(lengths)), rows=np.array(rows, dtype=np.int64))


@pytest.mark.parametrize(
    ("popularity", "scores"),
    [
        ([1.0, 3.0, 2.0], [1.0, 3.0, 2.0]),
        ([1.0, NAN, 2.0], [1.0, 1.0, 2.0]),
        ([1.0, -INF, INF], [1.0, 1.0, 1.0]),
        ([NAN, NAN, NAN], [0.0, 0.0, 0.0]),
    ],
)
def test_item_without_popularity_counts_as_the_least_popular(
    tmp_path: Path, popularity: list[float], scores: list[float]
) -> None:
    catalogue = catalogue_of(tmp_path / "c", None, popularity)
    stage = unranked_stage(PopularConfig(column="fame"), catalogue)
    batch = stage(batch_of([2, 1], [catalogue.row_by_id[f"i{n}"] for n in range(3)]))
    assert batch.candidates["score"].tolist() == scores
    assert batch.candidates["ranker"].tolist() == scores


@given(st.lists(st.integers(0, 300), min_size=1, max_size=20))
def test_candidates_keep_their_order(lengths: list[int]) -> None:
    scores = GivenStage()(batch_of(lengths, [0] * sum(lengths))).candidates["score"]
    assert scores.dtype == np.float32
    for part in np.split(scores, np.cumsum(lengths)[:-1]):
        assert (np.diff(part) < 0).all()
        assert part[:1].tolist() == [1.0] * len(part[:1])


def test_error_names_a_column_that_is_not_one_number_per_item(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no column 'pair' with one number per item") as refused:
        unranked_stage(PopularConfig(column="pair"), catalogue_of(tmp_path / "c", None, [1.0]))
    assert refused.value.field == "popular.column"
