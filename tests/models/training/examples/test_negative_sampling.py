from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.features.catalogue import item_key
from models.ragged import RaggedArray, RaggedBatch, offsets_of
from models.training.examples.negative_sampling import NegativeSampler, over_catalogue
from tests.models.worlds import make_catalogue


def chosen(rows: list[list[int]]) -> RaggedBatch:
    flat = np.array([row for part in rows for row in part], dtype=np.int64)
    return RaggedBatch(
        offsets=offsets_of(np.array([len(part) for part in rows])),
        rows=flat,
        candidates={"label": np.ones(len(flat), dtype=np.float32)},
    )


LISTS = st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=5, unique=True), min_size=1, max_size=8)


@given(LISTS, st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_list_keeps_its_items_and_never_gets_one_as_a_negative(
    rows: list[list[int]], count: int, seed: int
) -> None:
    result = NegativeSampler(20, count)(chosen(rows), seed=seed)
    for index, own in enumerate(rows):
        part = slice(result.offsets[index], result.offsets[index + 1])
        labels = result.candidates["label"][part]
        assert result.rows[part][labels == 1].tolist() == own
        assert not set(result.rows[part][labels == 0]) & set(own)
        assert (labels == 0).sum() <= count
        assert len(set(result.rows[part])) == len(result.rows[part])


def test_same_seed_draws_the_same_items() -> None:
    sampler = NegativeSampler(1000, 20)
    batch = chosen([[1], [2, 3]])
    assert sampler(batch, seed=5).rows.tolist() == sampler(batch, seed=5).rows.tolist()
    assert sampler(batch, seed=5).rows.tolist() != sampler(batch, seed=6).rows.tolist()


def test_ranks_the_whole_catalogue_except_items_of_the_history(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "catalogue")
    seen = np.array([catalogue.keys[3], catalogue.keys[5], item_key("gone")], dtype=np.int64)
    batch = chosen([[7, 5], [3]]).adding(
        requests={"user.history": RaggedArray(seen, np.array([0, 3, 3], dtype=np.int64))}
    )
    labels = batch.candidates["label"]
    masked, result = over_catalogue(batch, labels, catalogue, history="history", repeats=False)
    items = len(catalogue)
    assert masked.rows[: items - 1].tolist() == [
        row for row in range(items) if row != 3
    ]  # 5 was chosen again
    assert masked.rows[items - 1 :].tolist() == list(range(items))
    assert masked.rows[result > 0].tolist() == [5, 7, 3]
    whole, _ = over_catalogue(batch, labels, catalogue, history="history", repeats=True)
    assert np.diff(whole.offsets).tolist() == [items, items]
