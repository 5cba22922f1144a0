"""Lists of users are read in parts, and follow the deltas of the catalogue without being read again."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.features.catalogue import Catalogue
from models.features.deltas.delta import Delta
from models.features.deltas.folder import DeltaFolder
from services.stages.user_lists import UserLists, read_lists
from tests.pipelines import ITEMS, make_pipeline


def write(path: Path, lists: dict[str, list[str]]) -> Path:
    table = pa.table({"user_id": list(lists), "items": list(lists.values())})
    pq.write_table(table, path, row_group_size=700)
    return path


def ids_of(lists: UserLists, user: str) -> list[str]:
    rows = lists.of(user.encode())
    return [] if rows is None else [lists.catalogue.ids[row] for row in rows]


def with_delta(
    catalogue: Catalogue, folder: DeltaFolder, changed: list[str], removed: list[str]
) -> Catalogue:
    columns = {name: column[: len(changed)] for name, column in catalogue.columns.items()}
    folder.append(catalogue, Delta(changed, columns, [b"{}"] * len(changed), removed))
    return folder.applied(catalogue)


def test_lists_of_many_users_are_read_in_parts(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    items = {
        f"u{user}": [f"item-{(user + place) % ITEMS:04d}" for place in range(user % 3)]
        for user in range(2500)
    }
    lists = read_lists(write(tmp_path / "l.parquet", items), Catalogue.open(tmp_path / "catalogue"))
    assert {user: ids_of(lists, user) for user in items} == items
    assert set(lists.rows) == {user.encode() for user, own in items.items() if own}


def test_lists_follow_deltas_and_are_read_again_only_for_items_that_were_missing(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    catalogue, folder = Catalogue.open(tmp_path / "catalogue"), DeltaFolder(tmp_path / "deltas")
    own = {"a": ["item-0003", "late", "item-0001"], "b": ["item-0002"], "c": ["item-0009"]}
    path = write(tmp_path / "l.parquet", own)
    lists = first = read_lists(path, catalogue)
    assert first.missing == {"late"}

    catalogue = with_delta(catalogue, folder, ["other", "item-0003"], ["item-0002"])
    lists = lists.over(catalogue, path)
    assert lists.rows is first.rows
    assert [ids_of(lists, user) for user in "abc"] == [["item-0003", "item-0001"], [], ["item-0009"]]
    assert catalogue.living(
        np.concatenate([rows for u in "ac" if (rows := lists.of(u.encode())) is not None])
    ).all()
    assert ids_of(first, "b") == ["item-0002"]

    catalogue = with_delta(catalogue, folder, ["late", "item-0002"], [])
    lists = lists.over(catalogue, path)
    assert lists.rows is not first.rows
    assert [ids_of(lists, user) for user in "ab"] == [own["a"], own["b"]]


def test_a_new_file_is_read_at_the_next_delta(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    catalogue, folder = Catalogue.open(tmp_path / "catalogue"), DeltaFolder(tmp_path / "deltas")
    lists = read_lists(write(tmp_path / "l.parquet", {"a": ["item-0003"]}), catalogue)
    path = write(tmp_path / "l.parquet", {"a": ["item-0004", "item-0005"]})
    lists = lists.over(with_delta(catalogue, folder, ["other"], []), path)
    assert ids_of(lists, "a") == ["item-0004", "item-0005"]
