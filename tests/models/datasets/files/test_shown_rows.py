from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.datasets.files.problems import BadRows
from models.errors import ArtifactError
from tests.models.datasets.files.shown import LISTS, SHOWN, log_of, shown_rows, write_shown


def changed(column: str, value: Any, row: int = 300) -> dict[str, list[Any]]:
    """Return the rows with another value in one row."""
    rows = shown_rows()
    rows[column][row] = value
    return rows


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_rows_become_lists_and_the_reactions_are_the_events(tmp_path: Path, suffix: str) -> None:
    rows = shown_rows()
    log, _ = log_of(write_shown(tmp_path / f"a.{suffix}", rows))
    assert log.shown is not None
    assert len(log.shown) == LISTS
    assert log.shown.position.tolist() == list(range(SHOWN)) * LISTS
    assert log.shown.relevance.sum() == sum(rows["label"]) == len(log)
    assert {log.item_ids[item] for item in log.item} == {
        item for item, label in zip(rows["item_id"], rows["label"], strict=True) if label
    }


def test_lists_in_one_row_are_the_same_as_rows(tmp_path: Path) -> None:
    rows = shown_rows()
    cut = [slice(start, start + SHOWN) for start in range(0, LISTS * SHOWN, SHOWN)]
    lists = {name: [rows[name][part] for part in cut] for name in ("item_id", "label")}
    first = {name: [rows[name][part][0] for part in cut] for name in ("request_id", "user_id", "timestamp")}
    pq.write_table(pa.table({**first, **lists}), tmp_path / "lists.parquet")
    whole, _ = log_of(tmp_path / "lists.parquet", position=None)
    log, _ = log_of(write_shown(tmp_path / "rows.parquet", rows))
    assert whole.shown is not None
    assert log.shown is not None
    for name, values in vars(log.shown).items():
        np.testing.assert_array_equal(getattr(whole.shown, name), values, name)


def test_without_list_ids_a_list_is_what_a_user_saw_at_one_time(tmp_path: Path) -> None:
    log, _ = log_of(write_shown(tmp_path / "a.csv", shown_rows()), list=None)
    assert log.shown is not None
    assert len(log.shown) == LISTS


def test_kinds_and_words_are_labels_too(tmp_path: Path) -> None:
    rows = shown_rows()
    rows["word"] = ["True" if label else "false" for label in rows["label"]]
    rows["kind"] = [
        "buy" if label else None if row % 2 else "view" for row, label in enumerate(rows["label"])
    ]
    path, bad = write_shown(tmp_path / "a.csv", rows), BadRows()
    words, _ = log_of(path, label="word")
    kinds, _ = log_of(path, bad, label=None, kind="kind", kinds={"buy": 0.5})
    assert words.shown is not None
    assert kinds.shown is not None
    np.testing.assert_array_equal(words.shown.relevance * 0.5, kinds.shown.relevance)
    assert any("rows count as shown only: kind view is not in" in note for note in bad.notes)
    assert not bad.counts


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed("label", "x"), r"csv line 302: column label must be a finite number, got 'x'"),
        (changed("label", 2), r"line 302: column label must be from 0 to 1, got '2'; .*highest"),
        (changed("label", -1), r"line 302: column label must be from 0 to 1"),
        (changed("position", 1.5), r"line 302: column position must be a whole number"),
        (changed("request_id", ""), r"line 302: column request_id must have an id"),
        (
            changed("user_id", "zz", 303),
            r"line 305: the user must be that of the list's first row, .*line 302",
        ),
        (changed("timestamp", "later"), r"line 302: column timestamp must be a time"),
    ],
)
def test_bad_rows_are_refused_with_file_and_line_or_skipped(
    tmp_path: Path, rows: dict[str, list[Any]], message: str
) -> None:
    path = write_shown(tmp_path / "a.csv", rows)
    with pytest.raises(ArtifactError, match=message):
        log_of(path)
    bad = BadRows(skip=True)
    log, _ = log_of(path, bad)
    assert log.shown is not None
    assert len(log.shown.item) == LISTS * SHOWN - 1
    assert sum(bad.counts.values()) == len(bad.listed) == 1


def test_lists_of_other_lengths_are_refused_with_their_row(tmp_path: Path) -> None:
    count = 30
    lists: dict[str, list[Any]] = {
        "request_id": list(range(count)),
        "user_id": [f"u{n % 5}" for n in range(count)],
        "timestamp": [1_600_000_000 + n for n in range(count)],
        "item_id": [["a", "b", "c"]] * count,
        "label": [[1, 0, 0] if n != 17 else [1] for n in range(count)],
    }
    pq.write_table(pa.table(lists), tmp_path / "a.parquet")
    with pytest.raises(
        ArtifactError, match=r"row 18: column label must have as many values as item_id, got \[1\]"
    ):
        log_of(tmp_path / "a.parquet", position=None)


def test_impressions_without_reactions_and_endless_lists_are_refused(tmp_path: Path) -> None:
    rows = shown_rows()
    with pytest.raises(
        ArtifactError, match="must have shown items with a label above 0, got none in 720 rows"
    ):
        log_of(write_shown(tmp_path / "a.csv", {**rows, "label": [0] * len(rows["label"])}))
    many = 10_001
    one: dict[str, Sequence[Any]] = {
        "request_id": ["r"] * many, "user_id": ["u"] * many, "item_id": list(range(many)),
        "timestamp": [1_600_000_000] * many, "position": range(many), "label": [1] * many,
    }  # fmt: skip
    with pytest.raises(ArtifactError, match="at most 10,000 items, got 10,001; name another column"):
        log_of(write_shown(tmp_path / "b.csv", one))
