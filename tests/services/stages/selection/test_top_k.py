import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.ragged import RaggedBatch
from services.stages.selection.top_k import best_of_each, best_within_k, keep_where
from tests.services.batches import ragged_batch, scored_batches

TIED_OR_NAN = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.0, 2.0, math.nan, math.inf, -math.inf]), st.floats(width=32)
)


def naive_best(batch: RaggedBatch, count: int) -> list[list[int]]:
    """Sort each list by score, NaN last. Python's sort keeps ties in order."""
    scores = batch.candidates["score"].tolist()
    lists = []
    for first, last in zip(batch.offsets[:-1], batch.offsets[1:], strict=True):
        order = sorted(range(first, last), key=lambda i: math.inf if math.isnan(scores[i]) else -scores[i])
        numbers = [i for i in order if not math.isnan(scores[i])]
        lists.append((numbers + [i for i in order if math.isnan(scores[i])])[:count])
    return lists


@settings(max_examples=400)
@given(scored_batches(values=TIED_OR_NAN), st.integers(1, 30))
def test_best_of_each_equals_a_stable_sort(batch: RaggedBatch, count: int) -> None:
    best = best_of_each(batch, "score", count)
    wanted = naive_best(batch, count)
    assert np.diff(best.offsets).tolist() == [len(rows) for rows in wanted]
    assert best.rows.tolist() == [row for rows in wanted for row in rows]
    np.testing.assert_array_equal(best.candidates["score"], batch.candidates["score"][best.rows])


def test_ties_across_the_cut_keep_the_first_candidates() -> None:
    batch = ragged_batch([1000], [1.0] * 1000)
    assert best_of_each(batch, "score", 10).rows.tolist() == list(range(10))


def test_nan_fills_the_list_only_after_all_numbers() -> None:
    batch = ragged_batch([40], [math.nan] * 38 + [1.0, 2.0])
    assert best_of_each(batch, "score", 4).rows.tolist() == [39, 38, 0, 1]


@given(scored_batches(), st.data())
def test_each_request_gets_at_most_k_candidates(batch: RaggedBatch, data: st.DataObject) -> None:
    k = [data.draw(st.integers(1, 30)) for _ in range(len(batch))]
    best = best_within_k(replace(batch, k=np.array(k, dtype=np.int64)), "score")
    wanted = [rows[:own] for rows, own in zip(naive_best(batch, 30), k, strict=True)]
    assert np.diff(best.offsets).tolist() == [len(rows) for rows in wanted]
    assert best.rows.tolist() == [row for rows in wanted for row in rows]
    assert best_within_k(batch, "score").candidate_count == batch.candidate_count


@given(scored_batches(), st.data())
def test_kept_candidates_stay_with_their_request(batch: RaggedBatch, data: st.DataObject) -> None:
    kept = np.array(
        data.draw(st.lists(st.booleans(), min_size=batch.candidate_count, max_size=batch.candidate_count)),
        dtype=bool,
    )
    sieved = keep_where(batch, kept)
    for index, (first, last) in enumerate(zip(batch.offsets[:-1], batch.offsets[1:], strict=True)):
        own = sieved.rows[sieved.offsets[index] : sieved.offsets[index + 1]]
        np.testing.assert_array_equal(own, batch.rows[first:last][kept[first:last]])
