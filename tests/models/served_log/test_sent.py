"""Sent items in the served log: they are read back as they were served, and damage is found."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.errors import ArtifactError
from models.features.catalogue import item_key
from models.features.sent import SENT
from models.features.sent_table import SentTable, SentValues
from models.ragged import RaggedBatch
from models.served_log.reading import read_lists
from models.served_log.sent import decode_sent, encode_sent
from models.served_log.writing import ShownLists, lists_table, write_log_file
from tests.models.served_log.scenarios.test_served_log import shown_lists
from tests.models.worlds import FEATURES


@st.composite
def sent_values(draw: st.DrawFn) -> SentValues:
    ids = draw(st.lists(st.text(min_size=1, max_size=256), min_size=1, max_size=4, unique=True))
    names = draw(st.lists(st.text(min_size=1, max_size=8), max_size=3, unique=True))
    dtypes = st.sampled_from(["<f4", "<f8", "<i4", "<i8", "|u1"])
    shapes = st.sampled_from([(), (2,), (2, 3), (0,)])
    return SentValues(
        ids,
        {name: draw(arrays.arrays(draw(dtypes), (len(ids), *draw(shapes)))) for name in names},
    )


@given(sent_values())
def test_decodes_the_bits_that_were_encoded(sent: SentValues) -> None:
    back = decode_sent(encode_sent(sent))
    assert list(back.ids) == list(sent.ids)
    assert {name: (v.dtype, v.shape, v.tobytes()) for name, v in back.values.items()} == {
        name: (v.dtype, v.shape, v.tobytes()) for name, v in sent.values.items()
    }


@given(st.binary(max_size=64) | sent_values().map(lambda sent: encode_sent(sent)[:-1]))
def test_damaged_bytes_are_refused(encoded: bytes) -> None:
    try:
        decode_sent(encoded)
    except ArtifactError as error:
        assert "the sent items cannot be read" in str(error)


def with_sent(ids: list[str]) -> ShownLists:
    """Return two lists. The second one has these sent items."""
    shown = shown_lists([2, 3], [0, 1])
    keys = shown.keys.copy()
    keys[2 : 2 + len(ids)] = [item_key(item_id) for item_id in ids]
    popularity = np.arange(len(ids), dtype=np.float32)
    return replace(shown, keys=keys, sent=[None, SentValues(ids, {"popularity": popularity})])


def test_sent_items_are_read_with_their_lists(tmp_path: Path) -> None:
    write_log_file(lists_table(with_sent(["a", "b"]), FEATURES), tmp_path / "b.parquet")
    write_log_file(lists_table(shown_lists([4], [0], first=7), FEATURES), tmp_path / "a.parquet")
    shown = read_lists([tmp_path], FEATURES)
    assert [None if sent is None else list(sent.ids) for sent in shown.sent] == [None, ["a", "b"], None]
    found = SentTable.of(shown.sent, shown.batch.offsets, shown.keys)
    assert found is not None
    assert found[1].tolist() == [-1, -1, 0, 1, -1, -1, -1, -1, -1]


def test_log_of_an_older_version_has_no_sent_items(tmp_path: Path) -> None:
    table = lists_table(with_sent(["a"]), FEATURES)
    write_log_file(table.drop(["sent"]), tmp_path / "old.parquet")
    assert read_lists([tmp_path], FEATURES).sent == []
    write_log_file(lists_table(shown_lists([2], [0], first=9), FEATURES), tmp_path / "new.parquet")
    assert len(read_lists([tmp_path], FEATURES).batch) == 3


COLUMN = ["popularity", "<f4", [], b"\0\0\0\0"]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"\xc1", "row 1: the sent items cannot be read"),
        (msgspec.msgpack.encode([["a"], [["popularity", "<f4", [], b"\0"]]]), "has 1 bytes for 1 items"),
        (msgspec.msgpack.encode([["a"], [["popularity", "O", [], b""]]]), "has the type O"),
        (msgspec.msgpack.encode([["a"], [["popularity", "<q9", [], b""]]]), "row 1: the sent items"),
        (msgspec.msgpack.encode([["a"], [["popularity", "<f4", [-1], b""]]]), "the shape \\(-1,\\)"),
        (msgspec.msgpack.encode([["z"], [COLUMN]]), "row 1: the sent items must be in the list, got 'z'"),
    ],
)
def test_damaged_sent_items_name_the_file_and_the_row(tmp_path: Path, sent: bytes, message: str) -> None:
    table = lists_table(with_sent(["a"]), FEATURES)
    column = table.schema.get_field_index("sent")
    spoiled = table.set_column(column, table.schema.field(column), pa.array([None, sent], pa.large_binary()))
    pq.write_table(spoiled, tmp_path / "a.parquet")
    with pytest.raises(ArtifactError, match=f"a.parquet: .*{message}"):
        read_lists([tmp_path], FEATURES)


def table_of(*values: Any) -> Any:
    """Return the table of lists with one sent item each, by the values of the column x."""
    lists = [SentValues([f"i{number}"], {"x": np.array([value])}) for number, value in enumerate(values)]
    keys = np.array([item_key(f"i{number}") for number in range(len(values))], dtype=np.int64)
    return SentTable.of(lists, np.arange(len(values) + 1), keys)


def test_lists_of_another_table_are_refused(tmp_path: Path) -> None:
    found = table_of(1.0, 2.0)
    batch = RaggedBatch(offsets=np.array([0, 1]), rows=np.array([-1]))
    for columns in ({}, {SENT: np.array([2])}, {SENT: np.array([0.5])}):
        with pytest.raises(
            ArtifactError, match="indices into the table of 2 items; build the data set again"
        ):
            found[0].with_rows(batch.adding(candidates=columns))
    found[0].write(tmp_path)
    np.save(tmp_path / "sent.0.npy", np.zeros(1))
    with pytest.raises(ArtifactError, match="x has 1 values, expected 2; build the data set again"):
        SentTable.read(tmp_path)


def test_lists_with_several_types_of_a_column_are_refused() -> None:
    with pytest.raises(
        ArtifactError, match=r"item.x was sent with several types or shapes, got float64 \(\), "
    ):
        table_of(1.0, np.float64(2.0), [1.0, 2.0])
