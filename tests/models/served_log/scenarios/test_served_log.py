"""The served log: written lists are read back, with each candidate's relevance from its feedback."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.errors import ArtifactError, FeatureMismatch
from models.features.definition import FeatureSet
from models.ragged import Column, RaggedArray
from models.served_log.reading import read_log
from models.served_log.schema import feedback_schema, lists_schema
from models.served_log.writing import (
    Feedback,
    ShownLists,
    feedback_table,
    lists_table,
    write_log_file,
)
from tests.models.worlds import FEATURES, FEEDBACK, make_batch


def shown_lists(lengths: list[int], past: list[int], seed: int = 0, first: int = 0) -> ShownLists:
    """Return lists ``first``, ``first`` + 1, … one hour apart.

    An item's key is 100 times its row.
    """
    batch = make_batch(lengths, past, seed)
    return ShownLists(
        batch=batch,
        keys=batch.rows * 100,
        scores=batch.candidates["score"],
        positions=np.concatenate([np.arange(n) for n in lengths]).astype(np.int32),
        request_ids=[f"r{first + number}" for number in range(len(lengths))],
        user_ids=["u"] * len(lengths),
        at_s=1e9 + 3600.0 * (first + np.arange(len(lengths), dtype=np.float64)),
    )


def feedback_of(*events: tuple[str, int, str, float]) -> Feedback:
    return Feedback(
        request_ids=[event[0] for event in events],
        keys=np.array([event[1] for event in events], dtype=np.int64),
        events=[event[2] for event in events],
        values=np.array([event[3] for event in events], dtype=np.float32),
        at_s=np.full(len(events), 1e9),
    )


def arrays_of(column: Column) -> list[NDArray[Any]]:
    return [column.offsets, column.values] if isinstance(column, RaggedArray) else [column]


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5)), min_size=1, max_size=6), st.integers(0, 99))
def test_reads_back_the_lists_that_were_served(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[tuple[int, int]], seed: int
) -> None:
    root = tmp_path_factory.mktemp("log")
    shown = shown_lists([n for n, _ in shapes], [past for _, past in shapes], seed)
    write_log_file(lists_table(shown, FEATURES), root / "lists-0.parquet")
    result, labels = read_log([root], FEATURES, FEEDBACK)
    for name in ("keys", "scores", "positions", "at_s"):
        np.testing.assert_array_equal(getattr(result, name), getattr(shown, name))
    assert list(result.request_ids) == list(shown.request_ids)
    np.testing.assert_array_equal(result.batch.offsets, shown.batch.offsets)
    for name, column in shown.batch.requests.items():
        back = result.batch.requests[name]
        if isinstance(column, RaggedArray):
            assert isinstance(back, RaggedArray)
        for one, other in zip(arrays_of(back), arrays_of(column), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    assert not labels.any()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 8),
            st.sampled_from(["opened", "walked", "rated"]),
            st.floats(0, 1),
        ),
        max_size=20,
    )
)
def test_relevance_is_that_of_the_highest_event(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, str, float]]
) -> None:
    root = tmp_path_factory.mktemp("log")
    shown = shown_lists([4, 2, 5], [0, 1, 2])
    keys = [*np.unique(shown.keys).tolist(), 77]  # the last was in no list
    events = [(f"r{r}", keys[min(k, len(keys) - 1)], event, value) for r, k, event, value in drawn]
    write_log_file(lists_table(shown, FEATURES), root / "a.parquet")
    if events:
        write_log_file(feedback_table(feedback_of(*events)), root / "b.parquet")
    _, labels = read_log([root], FEATURES, FEEDBACK)
    request_of = shown.batch.request_of()
    for index, label in enumerate(labels):
        worth = [
            {"opened": 0.25, "walked": 0.5, "rated": 0.5 + 0.5 * float(np.float32(value))}[event]
            for request, key, event, value in events
            if request == f"r{request_of[index]}" and key == shown.keys[index]
        ]
        assert label == np.float32(max(worth, default=0.0))


def test_lists_are_read_once_and_in_order_of_time_from_files_in_any_order(tmp_path: Path) -> None:
    for name, first in (("z", 0), ("a", 3), ("b", 3)):  # a log that was written twice
        write_log_file(
            lists_table(shown_lists([2, 3, 1], [0, 0, 1], 0, first), FEATURES), tmp_path / f"{name}.parquet"
        )
    result, _ = read_log([tmp_path / "b.parquet", tmp_path], FEATURES, FEEDBACK)
    assert list(result.request_ids) == [f"r{number}" for number in range(6)]
    assert np.diff(result.batch.offsets).tolist() == [2, 3, 1, 2, 3, 1]


def test_lists_of_other_features_are_refused(tmp_path: Path) -> None:
    write_log_file(lists_table(shown_lists([2], [1]), FEATURES), tmp_path / "a.parquet")
    fewer = FeatureSet(features=FEATURES.features[:-1])
    with pytest.raises(FeatureMismatch, match="served with these definitions"):
        read_log([tmp_path], fewer, FEEDBACK)


def without_times(table: pa.Table) -> pa.Table:
    times = pa.nulls(len(table), pa.float64())
    return table.set_column(1, pa.field("at_s", pa.float64()), times)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path, _: path.write_bytes(b"PAR1"), "cannot be read as a log"),
        (lambda path, table: pq.write_table(table.drop(["scores"]), path), "cannot be read as a log"),
        (lambda path, table: pq.write_table(table.replace_schema_metadata(None), path), "is neither"),
        (lambda path, table: pq.write_table(without_times(table), path), "at_s"),
        (lambda path, _: path.unlink(), "no shown lists"),
    ],
)
def test_rejects_a_file_that_is_not_a_log(tmp_path: Path, spoil: Any, message: str) -> None:
    table = lists_table(shown_lists([2], [1]), FEATURES)
    write_log_file(table, tmp_path / "a.parquet")
    spoil(tmp_path / "a.parquet", table)
    with pytest.raises(ArtifactError, match=message):
        read_log([tmp_path], FEATURES, FEEDBACK)


def test_error_names_a_missing_path_and_an_unknown_event(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no log at"):
        read_log([tmp_path / "nowhere"], FEATURES, FEEDBACK)
    write_log_file(lists_table(shown_lists([2], [1]), FEATURES), tmp_path / "a.parquet")
    write_log_file(
        feedback_table(feedback_of(("r0", 0, "walked", 1.0), ("r0", 0, "liked", 1.0))), tmp_path / "b.parquet"
    )
    with pytest.raises(
        ArtifactError,
        match=r"b.parquet: row 1 has .*, got 'liked'; add it to feedback.kinds \(opened, walked, rated\)",
    ):
        read_log([tmp_path], FEATURES, FEEDBACK)


def test_schemas_have_the_feature_hash_and_the_logged_columns() -> None:
    schema = lists_schema(FEATURES)
    assert schema.metadata[b"rankway.feature_hash"].decode() == FEATURES.content_hash
    assert schema.field("user.profile").type == pa.list_(pa.float32(), 3)
    assert schema.field("user.history").type == pa.large_list(pa.int64())
    assert schema.field("context.hour").type == pa.float32()
    assert "item.attributes" not in schema.names
    assert feedback_schema().names == ["request_id", "key", "event", "value", "at_s"]
