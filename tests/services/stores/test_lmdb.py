from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.errors import ConfigError, StoreFailed
from services.stores import any_user, open_store
from services.stores.kinds.lmdb import LmdbConfig
from services.stores.lmdb import LmdbStore


def test_returns_rows_in_key_order_and_none_for_a_missing_key(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "users", readonly=False)
    assert store.write_many([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]) == 3
    assert store.read_many([b"b", b"x", b"a", b"b"]).rows == [b"2", None, b"3", b"2"]
    assert store.read_many([]).rows == []
    store.close()


@pytest.mark.parametrize(
    ("keys", "user"),
    [
        ([b"{u7}/user", b"{u7}/realtime"], "u7"),
        ([b"load:1", b"{a}b}/user"], "a}b"),
        ([b"load:1", b"zzz"], None),
        ([b"{\xff}/user"], None),
        ([], None),
    ],
)
def test_shows_any_user_with_a_row(tmp_path: Path, keys: list[bytes], user: str | None) -> None:
    store = LmdbStore(tmp_path / "users", readonly=False)
    store.write_many((key, b"row") for key in keys)
    store.close()
    assert any_user(LmdbConfig(path="users"), tmp_path) == user
    assert any_user(LmdbConfig(path="elsewhere"), tmp_path) is None


@pytest.mark.parametrize("key", [b"", b"k" * 512, ("ü" * 256).encode(), ("🚶" * 128).encode()])
def test_a_key_that_lmdb_cannot_hold_has_no_row(tmp_path: Path, key: bytes) -> None:
    store = LmdbStore(tmp_path / "users", readonly=False)
    store.write_many([(b"a", b"1"), (b"k" * 511, b"2")])
    assert store.read_many([b"a", key, b"k" * 511]).rows == [b"1", None, b"2"]
    store.close()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=600), max_size=8))
def test_any_bytes_can_be_read_as_keys(tmp_path: Path, keys: list[bytes]) -> None:
    store = LmdbStore(tmp_path / "users", readonly=False)
    try:
        assert store.read_many(keys).rows == [None] * len(keys)
    finally:
        store.close()


def test_writes_more_rows_than_fit_into_one_transaction(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "users", readonly=False)
    assert store.write_many((b"%d" % i, b"v%d" % i) for i in range(10_001)) == 10_001
    assert store.read_many([b"10000", b"0"]).rows == [b"v10000", b"v0"]
    store.close()


def test_a_reader_sees_the_rows_of_a_writer(tmp_path: Path) -> None:
    writer = LmdbStore(tmp_path / "users", readonly=False)
    writer.write_many([(b"a", b"1")])
    writer.close()
    reader = open_store(LmdbConfig(path="users"), tmp_path)
    assert reader.read_many([b"a"]).rows == [b"1"]
    reader.close()


def test_a_missing_or_damaged_store_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no feature store at") as missing:
        LmdbStore(tmp_path / "nothing")
    assert missing.value.field == "features.store.path"
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "data.mdb").write_bytes(b"not LMDB's" * 1000)
    with pytest.raises(ConfigError, match="cannot be opened"):
        LmdbStore(tmp_path / "damaged")


def test_a_folder_that_cannot_be_made_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "store"):
        with pytest.raises(ConfigError, match="cannot be created as a folder"):
            LmdbStore(path, readonly=False)


def test_iterates_over_rows_from_any_key(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "users", readonly=False)
    rows = [(b"%03d" % i, b"row") for i in range(5)]
    store.write_many(rows)
    assert list(store.rows_after(b"")) == rows
    assert list(store.rows_after(b"001")) == rows[2:]
    assert list(store.rows_after(b"0015")) == rows[2:]
    assert list(store.rows_after(b"9")) == []
    assert store.count() == 5
    store.close()


def test_damaged_pages_make_rows_unread_without_an_error(tmp_path: Path) -> None:
    path = tmp_path / "users"
    writer = LmdbStore(path, readonly=False)
    writer.write_many((b"u%04d" % i, b"x" * 200) for i in range(2000))
    writer.close()
    data = bytearray((path / "data.mdb").read_bytes())
    for page in range(2, len(data) // 4096):  # after the two pages with the location of the tree
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    (path / "data.mdb").write_bytes(data)
    reader = LmdbStore(path)
    result = reader.read_many([b"u0001", b"u1999"])
    assert result.rows == [None, None]
    assert list(result.unread) == [0, 1]
    reader.close()


def test_error_names_a_key_that_is_too_long_to_write(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "users", readonly=False)
    with pytest.raises(StoreFailed, match="a key must have 1 to 511 bytes, got 600 in"):
        store.write_many([(b"a", b"1"), (b"k" * 600, b"2")])
    store.close()
