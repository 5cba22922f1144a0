import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from services.errors import Unprocessable
from services.stages.context import ContextLayout
from services.stages.query import Query, merge_queries, named_candidates
from services.stages.sent_items import ItemLayout
from tests.pipelines import FEATURES

LAYOUT = ContextLayout(FEATURES)
COUNT = 3


class ShiftSource:
    """Draws rows that identify their request: ten times the request's shift, then counting up."""

    def draw(self, context: dict[str, NDArray[np.float64]], requests: int) -> NDArray[np.int64]:
        shift = context["shift"]
        assert shift.shape == (requests,)
        return (10 * shift[:, None] + np.arange(COUNT)).astype(np.int64)


def queries() -> SearchStrategy[list[list[int] | None]]:
    rows = st.lists(st.integers(0, 499), min_size=1, max_size=5)
    return st.lists(st.none() | rows, min_size=1, max_size=6)


@given(queries())
def test_queries_keep_their_rows_or_get_their_own_draw(
    asked: list[list[int] | None],
) -> None:
    given_queries = [
        Query(
            user_key=b"u%d" % index,
            context=LAYOUT.encode({"shift": float(index)}),
            rows=None if rows is None else np.array(rows, dtype=np.int64),
            deadline_s=float(index),
            priority=index,
            k=index + 1,
        )
        for index, rows in enumerate(asked)
    ]
    batch = merge_queries(given_queries, "r1", LAYOUT, ShiftSource())  # type: ignore[arg-type]
    assert len(batch) == len(asked)
    for index, rows in enumerate(asked):
        own = batch.rows[batch.offsets[index] : batch.offsets[index + 1]].tolist()
        assert own == (rows if rows is not None else [10 * index + i for i in range(COUNT)])
    assert batch.user_keys == [b"u%d" % index for index in range(len(asked))]
    np.testing.assert_array_equal(batch.requests["context.shift"], np.arange(len(asked)))
    assert batch.deadlines_s is not None
    assert batch.priorities is not None
    assert batch.deadlines_s.tolist() == batch.priorities.tolist() == list(range(len(asked)))
    assert batch.k is not None
    assert batch.k.tolist() == list(range(1, len(asked) + 1))
    assert batch.release == "r1"
    assert batch.offsets.dtype == batch.rows.dtype == np.dtype(np.int64)


def test_ids_become_rows_in_order_without_duplicates(catalogue: Catalogue) -> None:
    ids = ["item-0007", "item-0001", "item-0007"]
    rows, sent = named_candidates(ids, catalogue, ItemLayout(catalogue, FEATURES), 3)
    assert sent is None
    assert [catalogue.ids[row] for row in rows] == ids[:2]


def test_error_names_an_unknown_id_and_its_index(catalogue: Catalogue) -> None:
    layout = ItemLayout(catalogue, FEATURES)
    with pytest.raises(
        Unprocessable, match=r"candidates\[1\]: not in catalogue small 1, got 'nowhere'"
    ) as refused:
        named_candidates(["item-0001", "nowhere"], catalogue, layout, 3)
    assert refused.value.field == "candidates[1]"
    with pytest.raises(Unprocessable) as refused:
        named_candidates(["x" * 10_000], catalogue, layout, 3)
    assert len(refused.value.detail) < 300


def test_refuses_too_many_ids_before_looking_them_up(catalogue: Catalogue) -> None:
    with pytest.raises(Unprocessable, match="candidates: at most 400 are allowed, got 1000000;") as refused:
        named_candidates(["x"] * 1_000_000, catalogue, ItemLayout(catalogue, FEATURES), 400)
    assert refused.value.field == "candidates"
