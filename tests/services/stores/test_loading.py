"""Bulk loads: stages read the Parquet file's values, and an interrupted load continues."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.features.definition import Feature, FeatureSet
from models.features.rows import UserRowCodec, row_key
from models.ragged import RaggedArray
from services.errors import StoreFailed
from services.stores import sources
from services.stores.lmdb import LmdbStore
from services.stores.loading import LoadCheckpoint, LoadProgress, LoadReport, load, load_all
from services.stores.sources import open_source

FEATURES = FeatureSet(
    features=(
        Feature(name="age", group="user", dtype="int8", default=-1.0),
        Feature(name="profile", group="user", shape=(3,)),
        Feature(name="history", group="user", dtype="int64", ragged=True, max_length=4),
        Feature(name="places", group="user", dtype="float64", shape=(2,), ragged=True, max_length=2),
    )
)
CODEC = UserRowCodec(FEATURES)
FINITE = st.floats(-1e6, 1e6, width=32)
USERS = st.fixed_dictionaries(
    {},
    optional={
        "age": st.integers(-128, 127),
        "profile": st.lists(FINITE, min_size=3, max_size=3),
        "history": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=7),
        "places": st.lists(st.tuples(FINITE, FINITE), max_size=4),
    },
)
SCHEMA = pa.schema(
    {
        "user_id": pa.string(),
        "age": pa.int64(),
        "profile": pa.list_(pa.float64()),
        "history": pa.list_(pa.int64()),
        "places": pa.list_(pa.list_(pa.float64(), 2)),
    }
)


def key_of(user: str) -> bytes:
    return row_key("user", user.encode())


class MemoryStore:
    """A store in memory that is full after ``room`` rows."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.room = room
        self.written = 0
        self.marks: dict[str, int] = {}

    def write_many(self, rows: Iterable[tuple[bytes, bytes]]) -> int:
        part = list(rows)
        if self.written + len(part) > self.room:
            raise StoreFailed("full")
        self.rows |= dict(part)
        self.written += len(part)
        return len(part)

    def begin_load(self) -> str:
        self.marks["load"] = 0
        return "load"

    def write_part(self, load: str, number: int, rows: Sequence[tuple[bytes, bytes]]) -> int:
        assert self.marks[load] == number - 1
        written = self.write_many(rows)
        self.marks[load] = number
        return written

    def holds_parts(self, load: str, count: int) -> bool:
        return self.marks.get(load, -1) >= count

    def end_load(self, load: str) -> None:
        self.marks.pop(load, None)

    def close(self) -> None: ...


def write(
    path: Path, rows: list[dict[str, Any]], *, schema: pa.Schema = SCHEMA, rows_a_group: int = 3000
) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, row_group_size=rows_a_group)
    return path


def run(path: Path, store: MemoryStore, features: FeatureSet = FEATURES) -> LoadReport:
    source = open_source(path, features)
    return load(source, store, LoadCheckpoint(path, source.stamp()), lambda done, total: None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(USERS, max_size=8))
def test_loads_the_rows_that_the_codec_encodes(tmp_path: Path, users: list[dict[str, Any]]) -> None:
    store = MemoryStore()
    path = write(tmp_path / "users.parquet", [{"user_id": f"u{i}", **user} for i, user in enumerate(users)])
    loaded = run(path, store)
    assert (loaded.written, loaded.refused) == (len(users), 0)
    for i, user in enumerate(users):
        arrays = {name: np.array(value) for name, value in user.items()}
        assert store.rows[key_of(f"u{i}")] == CODEC.encode(arrays)


def test_encodes_files_with_only_fixed_shapes_like_the_codec(tmp_path: Path) -> None:
    fixed = FeatureSet(features=FEATURES.features[:2])
    rows: list[dict[str, Any]] = [{"user_id": "a", "age": 3}, {"user_id": "b", "profile": [1, 2, 3]}]
    rows += [
        {"user_id": "c", "age": 300, "profile": [1, 2]},
        {"user_id": "d", "age": 4, "profile": [4, 5, 6]},
    ]
    store = MemoryStore()
    path = write(tmp_path / "users.parquet", rows, schema=pa.schema(list(SCHEMA)[:3]))
    assert run(path, store, fixed).refused == 1
    codec = UserRowCodec(fixed)
    for row in (rows[0], rows[1], rows[3]):
        arrays = {name: np.array(value) for name, value in row.items() if name != "user_id"}
        assert store.rows[row_key("user", row["user_id"].encode())] == codec.encode(arrays)


def test_reports_bad_rows_with_a_remedy_and_loads_the_others(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"user_id": "good", "age": 3},
        {"user_id": "old", "age": 300},
        {"user_id": "short", "profile": [1.0, 2.0]},
        {"user_id": "nan", "profile": [1.0, float("nan"), 2.0]},
        {"user_id": "hole", "history": [1, None]},
        {"user_id": None, "age": 1},
        {"user_id": "fine", "places": [[1.0, 2.0]]},
    ]
    store = MemoryStore()
    loaded = run(write(tmp_path / "users.parquet", rows), store)
    assert sorted(store.rows) == [key_of("fine"), key_of("good")]
    assert [fault.partition("users.parquet ")[2] for fault in loaded.faults] == [
        "row 1: age: a value does not fit int8; correct it, or leave it empty",
        "row 2: profile: the number of values must be 3, got 2; correct the list",
        "row 3: profile: a value does not fit float32; correct it, or leave it empty",
        "row 4: history: the list has an empty value; write a number, or leave the whole list empty",
        "row 5: user_id: is empty; write the id that requests send",
    ]


def test_an_interrupted_load_continues_where_it_stopped(tmp_path: Path) -> None:
    rows = [{"user_id": f"u{i}", "age": i % 100} for i in range(10_000)]
    path = write(tmp_path / "users.parquet", rows)
    store = MemoryStore(room=5000)
    with pytest.raises(StoreFailed):
        run(path, store)
    before, store.room = store.written, 1 << 30
    loaded = run(path, store)
    assert loaded.resumed == before > 0
    assert loaded.written == 10_000 - before
    assert store.written == 10_000
    assert store.rows.keys() == {key_of(f"u{i}") for i in range(10_000)}
    assert not store.marks
    again = run(path, MemoryStore())
    assert (again.resumed, again.written) == (0, 10_000)


def test_starts_over_with_a_checkpoint_that_is_damaged_or_of_another_file(tmp_path: Path) -> None:
    path = write(tmp_path / "users.parquet", [{"user_id": f"u{i}"} for i in range(3000)])
    LoadCheckpoint(path, "another").write(LoadProgress("load", 2, 2000, 2000))
    assert run(path, MemoryStore()).resumed == 0
    LoadCheckpoint(path, "").path.write_text("{garbled")
    assert run(path, MemoryStore()).written == 3000


def test_refuses_files_with_wrong_columns(tmp_path: Path) -> None:
    unknown = write(
        tmp_path / "a.parquet",
        [{"user_id": "u", "agee": 1}],
        schema=pa.schema({"user_id": pa.string(), "agee": pa.int64()}),
    )
    with pytest.raises(
        StoreFailed, match=r"must have the column user_id, and may have age, .*, got unknown columns agee;"
    ):
        open_source(unknown, FEATURES)
    nameless = write(tmp_path / "b.parquet", [{"age": 1}], schema=pa.schema({"age": pa.int64()}))
    with pytest.raises(StoreFailed, match=r"must have the column user_id, .*, got no column user_id;"):
        open_source(nameless, FEATURES)
    text = write(
        tmp_path / "c.parquet",
        [{"user_id": "u", "age": "1"}],
        schema=pa.schema({"user_id": pa.string(), "age": pa.string()}),
    )
    with pytest.raises(StoreFailed, match=r"column age: must be int8 of shape \(\), got string;"):
        run(text, MemoryStore())
    (tmp_path / "d.parquet").write_bytes(b"no Parquet")
    with pytest.raises(StoreFailed, match="cannot be read as Parquet"):
        open_source(tmp_path / "d.parquet", FEATURES)
    with pytest.raises(StoreFailed, match="none: does not exist;"):
        open_source(tmp_path / "none", FEATURES)


def test_copies_the_rows_of_an_embedded_store_unchanged(tmp_path: Path) -> None:
    rows = [(key_of(f"u{i:05d}"), CODEC.encode({"age": np.array(i % 100)})) for i in range(5000)]
    embedded = LmdbStore(tmp_path / "users", readonly=False)
    embedded.write_many(rows)
    embedded.close()
    source = open_source(tmp_path / "users", FEATURES)
    checkpoint, store = LoadCheckpoint(tmp_path / "users", source.stamp()), MemoryStore(room=3000)
    with pytest.raises(StoreFailed, match="full"):
        load(source, store, checkpoint, lambda done, total: None)
    before, store.room = store.written, 1 << 30
    loaded = load(source, store, checkpoint, lambda done, total: None)
    assert (loaded.resumed, loaded.written) == (before, 5000 - before)
    assert store.rows == dict(rows)


def test_refuses_an_embedded_store_of_other_definitions(tmp_path: Path) -> None:
    other = FeatureSet(features=(Feature(name="age", group="user"),))
    embedded = LmdbStore(tmp_path / "users", readonly=False)
    embedded.write_many([(key_of("u"), UserRowCodec(other).encode({}))])
    embedded.close()
    with pytest.raises(StoreFailed, match="build the folder again"):
        run(tmp_path / "users", MemoryStore())


def test_loaded_rows_decode_to_the_values_of_the_file(tmp_path: Path) -> None:
    store = MemoryStore()
    run(
        write(
            tmp_path / "users.parquet", [{"user_id": "u", "history": [1, 2, 3, 4, 5], "places": [[1.0, 2.0]]}]
        ),
        store,
    )
    columns = CODEC.decode([store.rows[key_of("u")]]).columns
    history, places = columns["user.history"], columns["user.places"]
    assert isinstance(history, RaggedArray) and isinstance(places, RaggedArray)
    assert history[0].tolist() == [2, 3, 4, 5]  # the newest
    assert places[0].tolist() == [[1.0, 2.0]]


def test_loads_lists_of_events_and_refuses_those_of_unequal_length(tmp_path: Path) -> None:
    def rated(field: str) -> dict[str, str]:
        return {"kind": "last_values", "event": "rating", "field": field}

    lists = {"group": "user", "ragged": True, "max_length": 2}
    features = FeatureSet.model_validate(
        {
            "features": [
                {"name": "keys", "dtype": "int64", "aggregate": rated("key"), **lists},
                {"name": "times", "dtype": "float64", "aggregate": rated("at_s"), **lists},
                {"name": "now_s", "group": "context", "dtype": "float64"},
            ]
        }
    )
    store = MemoryStore()
    rows: list[dict[str, Any]] = [
        {"user_id": "u", "keys": [1, 2, 3], "times": [30.0, 10.0, 20.0]},
        {"user_id": "short", "keys": [1, 2], "times": [30.0]},
        {"user_id": "timeless", "keys": [1]},
        {"user_id": "new"},
    ]
    schema = pa.schema(
        {"user_id": pa.string(), "keys": pa.list_(pa.int64()), "times": pa.list_(pa.float64())}
    )
    loaded = run(write(tmp_path / "users.parquet", rows, schema=schema), store, features)
    assert (loaded.written, loaded.refused) == (2, 2), loaded.faults
    expected = "event rating: expected the lists ['at_s', 'key'] with equal lengths, got "
    assert all(expected in fault for fault in loaded.faults)
    columns = UserRowCodec(features).decode([store.rows[key_of("u")]], np.array([30.0])).columns
    keys = columns["user.keys"]
    assert isinstance(keys, RaggedArray)
    assert keys[0].tolist() == [3]  # the two newest are stored, and one of them is not in the past yet


class MultiLoadStore(MemoryStore):
    """A store for several loads, one after the other. A load's marks are removed when it ends."""

    def begin_load(self) -> str:
        name = f"load-{self.written}-{len(self.marks)}"
        self.marks[name] = 0
        return name


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(rooms=st.lists(st.integers(0, 25), max_size=4))
def test_rows_of_a_later_file_win_even_if_calls_are_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rooms: list[int]
) -> None:
    monkeypatch.setattr(sources, "_ROWS_A_PART", 4)
    paths = [
        write(tmp_path / f"{name}.parquet", [{"user_id": f"u{i}", "age": age} for i in range(10)])
        for name, age in (("base", 1), ("delta", 2))
    ]
    for path in paths:
        path.with_name(f".{path.name}.loading").unlink(missing_ok=True)
    store = MultiLoadStore()

    def call() -> list[LoadReport]:
        opened = {path: open_source(path, FEATURES) for path in paths}
        return load_all(
            [(s, LoadCheckpoint(path, s.stamp()), lambda done, total: None) for path, s in opened.items()],
            store,
        )

    for room in rooms:
        store.room = store.written + room
        try:
            call()
        except StoreFailed:
            continue
    store.room = 1 << 30
    call()
    ages = {key: CODEC.decode([row], None).columns["user.age"][0] for key, row in store.rows.items()}
    assert set(ages.values()) == {2}
    assert store.marks == {}
