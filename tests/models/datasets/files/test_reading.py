import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.datasets.attribute_config import AttributesConfig
from models.datasets.config import EventColumns, EventFiles
from models.datasets.events import EventLog
from models.datasets.files.problems import BadRows
from models.datasets.files.reading import read_files
from models.datasets.time_format import TimeFormat, TimeUnit
from models.errors import ArtifactError
from tests.models.datasets.files.tables import config_of, shop_events, write


def read(path: Path, *, skip: bool = False, **changed: Any) -> tuple[EventLog, BadRows]:
    bad = BadRows(skip=skip)
    return read_files(config_of(path, **changed), bad), bad


@pytest.mark.parametrize("name", ["events.csv", "events.parquet", "events.jsonl"])
def test_every_format_gives_the_same_log(tmp_path: Path, name: str) -> None:
    events = shop_events()
    log, _ = read(write(tmp_path / name, events))
    assert len(log) == len(events["user_id"])
    assert log.user_ids == sorted(set(events["user_id"]))
    assert log.item_ids == sorted(set(events["item_id"]))
    found = sorted(
        zip(log.user.tolist(), log.at_s.tolist(), log.item.tolist(), log.value.tolist(), strict=True)
    )
    rows = zip(events["user_id"], events["timestamp"], events["item_id"], events["rating"], strict=True)
    assert found == sorted((int(u[1:]), float(t), log.item_ids.index(i), v) for u, t, i, v in rows)


def test_a_folder_is_read_file_by_file_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    events = shop_events()
    half = len(events["user_id"]) // 2
    folder = tmp_path / "events"
    folder.mkdir()
    write(folder / "a.parquet", {name: column[:half] for name, column in events.items()})
    write(folder / "b.parquet", {name: column[half:] for name, column in events.items()})
    (folder / "_SUCCESS").write_text("")
    (folder / ".crc").write_text("x")
    assert len(read(folder)[0]) == len(events["user_id"])


def test_files_may_have_different_types_of_ids(tmp_path: Path) -> None:
    events = shop_events()
    folder = tmp_path / "events"
    folder.mkdir()
    numbers = [int(user[1:]) for user in events["user_id"]]
    write(folder / "a.parquet", {**events, "user_id": numbers})
    write(folder / "b.parquet", {**events, "user_id": [float(user) for user in numbers]})
    write(folder / "c.parquet", {**events, "user_id": [str(user) for user in numbers]})
    log, bad = read(folder)
    assert log.user_ids == sorted(map(str, set(numbers)))
    assert "merged" in bad.notes[0]


def test_a_file_behind_a_url_is_read(tmp_path: Path) -> None:
    import fsspec

    path = write(tmp_path / "events.parquet", shop_events())
    with fsspec.open("memory://shop/events.parquet", "wb") as file:
        file.write(path.read_bytes())
    config = config_of(path, files=EventFiles(events="memory://shop/events.parquet"))
    assert len(read_files(config, BadRows())) == len(shop_events()["user_id"])


def test_compressed_csv_is_read(tmp_path: Path) -> None:
    import gzip

    path = write(tmp_path / "events.csv", shop_events())
    packed = tmp_path / "events.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert len(read(packed)[0]) == len(shop_events()["user_id"])


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("user_id", "", "column user_id must have an id"),
        ("user_id", "x" * 1_000_000, r"column user_id must have at most 256 bytes.*\(1000002 characters\)"),
        ("item_id", "a\tb", "column item_id must have no control characters"),
        ("timestamp", "soon", "column timestamp must be a time, got 'soon'"),
        ("timestamp", "4102444800", "column timestamp must not be in the future"),
        ("timestamp", "", "column timestamp must be a time"),
        ("rating", "good", "column rating must be a finite number"),
        ("rating", "nan", "column rating must be a finite number"),
        ("rating", "inf", "column rating must be a finite number"),
    ],
)
@pytest.mark.parametrize("name", ["events.csv", "events.jsonl"])
def test_a_bad_row_is_named_by_file_and_line_or_skipped(
    tmp_path: Path, name: str, column: str, value: str, message: str
) -> None:
    events = shop_events()
    row = len(events["user_id"]) // 2  # the types change halfway through the file
    events[column] = [*events[column][:row], value, *events[column][row + 1 :]]
    path = write(tmp_path / name, events)
    line = row + (2 if name.endswith("csv") else 1)
    with pytest.raises(ArtifactError, match=rf"{name} line {line}: {message}.*--skip-bad") as caught:
        read(path)
    assert len(str(caught.value)) < 500
    log, bad = read(path, skip=True)
    assert sum(bad.counts.values()) == 1
    assert f"{name} line {line}: " in bad.listed[0]
    assert len(log) == len(events["user_id"]) - 1


def test_a_csv_row_with_too_few_columns_is_named_and_later_lines_keep_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "events.csv", shop_events())
    lines = path.read_text().splitlines()
    lines[4] = "u1,i1"
    lines[8] = lines[8].replace(lines[8].split(",")[2], "later")
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ArtifactError, match=r"events\.csv line 5: expected 4 columns, got 2"):
        read(path)
    _, bad = read(path, skip=True)
    assert bad.listed[0].endswith("line 5: expected 4 columns, got 2")
    assert "line 9: column timestamp must be a time, got 'later'" in bad.listed[1]


def test_a_json_line_that_is_none_is_named_and_later_lines_keep_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "events.jsonl", shop_events())
    lines = path.read_text().splitlines()
    lines[2], lines[5] = "{not json", json.dumps({**json.loads(lines[5]), "timestamp": "later"})
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ArtifactError, match=r"events\.jsonl line 3: is no JSON object"):
        read(path)
    _, bad = read(path, skip=True)
    assert "events.jsonl line 6: column timestamp must be a time" in bad.listed[1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"user_id,item_id,timestamp,rating\n", "at least 10 events"),
        ("a.csv", b"1,2,3\n4,5,6\n", "must have the column names"),
        ("a.csv", b"user_id,user_id\n1,2\n", "column names must differ"),
        ("a.csv", b"user,item\n1,2\n", "no column 'user_id'"),
        ("a.parquet", b"PAR1", "cannot be read"),
        ("a.parquet", b"not parquet at all", "cannot be read"),
        ("a.jsonl", b"[1, 2]\n", "got an array"),
        ("a.jsonl", b"", "is empty"),
        ("a.bin", b"\0\1\2", "its format is unknown"),
        ("a.csv.gz", b"not gzip", "cannot be read"),
        ("a.csv", "user_id,item_id\n1,2\n".encode("utf-16"), "must be UTF-8 text, got zero bytes"),
        ("a.csv", b"user_id,item_id,timestamp,rating\nu,i,1,1\nu,\0,1,1\n", "line 3: must be UTF-8 text"),
        ("a.csv", "user_id,n\u00e4me\n1,2\n".encode("latin-1"), "line 1: the header must be UTF-8"),
        ("a.csv", b'"user\nid",item_id\n1,2\n', "line 1: column names must have no newlines"),
        ("a.csv", b"PAR1 and so on", "is a Parquet file; end its name with .parquet"),
        ("a.csv", b"\x1f\x8b and so on", "is compressed with gzip; end its name with .csv.gz"),
        ("a.csv", b"x" * 2_000_000, "line 1: the header is longer than 1048576 bytes"),
        ("a.jsonl", b'{"user_id": "\\ud800"}\n', "line 1: is no JSON object .*surrogates not allowed"),
        ("a.jsonl", b'{"user_id":' + b"[" * 50_000 + b"\n", "line 1: is no JSON object"),
        (
            "a.csv",
            b"user_id,item_id,timestamp,rating\n" + b"x" * 20_000_000 + b",1,1,1\n",
            "a row is longer than",
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{name}.*{message}"):
        read(path)


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    path = write(tmp_path / "events.csv", shop_events())
    lines = path.read_text().splitlines()
    lines[3] += "\n\n"  # two blank lines
    lines[5] = lines[5].replace(",", ',"\n\n",', 1).replace(lines[5].split(",")[1] + ",", "", 1)
    lines[20] = lines[20].replace(lines[20].split(",")[2], "later")
    path.write_text(
        "\ufeff" + "\r\n".join("\r\n".join(line.split("\n")) for line in lines) + "\r\n", newline=""
    )
    _, bad = read(path, skip=True)
    assert [one.split("events.csv ")[1].split(":")[0] for one in bad.listed] == ["line 8", "line 25"]


def test_pipes_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "events.csv"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(ArtifactError, match="must be a file or a folder, got a pipe or a device"):
            read(path)


def test_whole_numbers_that_a_float_cannot_hold_are_no_ids(tmp_path: Path) -> None:
    events = shop_events()
    path = tmp_path / "a.jsonl"
    rows = zip(events["item_id"], events["timestamp"], strict=True)
    path.write_text(
        "\n".join(
            f'{{"user_id": {2**70 + n % 3}, "item_id": "{i}", "timestamp": {t}, "rating": 1}}'
            for n, (i, t) in enumerate(rows)
        )
    )
    with pytest.raises(
        ArtifactError, match=r"line 1: column user_id must be text or a whole number below 2\^53"
    ):
        read(path)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("user_id", pa.dictionary(pa.int8(), pa.string())),
        ("user_id", pa.large_string()),
        ("user_id", pa.string_view()),
        ("user_id", pa.binary()),
        ("timestamp", pa.decimal128(25, 3)),
        ("timestamp", pa.timestamp("s", "Europe/Helsinki")),
        ("timestamp", pa.float64()),
        ("rating", pa.decimal128(10, 2)),
        ("rating", pa.int8()),
        ("rating", pa.float32()),
    ],
)
def test_parquet_types_are_read_as_what_they_mean(tmp_path: Path, column: str, kind: pa.DataType) -> None:
    table = pa.table(shop_events())
    index = table.schema.get_field_index(column)
    plain = write(tmp_path / "plain.parquet", shop_events())
    pq.write_table(table.set_column(index, column, table[column].cast(kind)), tmp_path / "typed.parquet")
    expected, (log, _) = read(plain)[0], read(tmp_path / "typed.parquet")
    assert log.user_ids == expected.user_ids
    np.testing.assert_array_equal(log.at_s, expected.at_s)
    np.testing.assert_array_equal(log.value, expected.value)


def test_missing_files_empty_folders_and_mixed_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file or folder"):
        read(tmp_path / "none.csv")
    folder = tmp_path / "events"
    folder.mkdir()
    with pytest.raises(ArtifactError, match="the folder has no files"):
        read(folder)
    write(folder / "a.csv", shop_events())
    write(folder / "b.parquet", shop_events())
    with pytest.raises(ArtifactError, match=r"files of one format, got csv in .*a\.csv and parquet"):
        read(folder)


def iso(seconds: int, zone: str) -> str:
    return str(np.datetime64(seconds, "s")) + zone


def test_naive_times_need_a_zone_and_are_read_in_it(tmp_path: Path) -> None:
    events = shop_events()
    path = write(tmp_path / "a.csv", {**events, "timestamp": [iso(t, "") for t in events["timestamp"]]})
    with pytest.raises(ArtifactError, match=r"line 2: column timestamp must have a time zone.*time\.zone"):
        read(path)
    utc, _ = read(path, time=TimeFormat(zone="UTC"))
    helsinki, _ = read(path, time=TimeFormat(zone="Europe/Helsinki"))
    assert sorted(utc.at_s) == sorted(map(float, events["timestamp"]))
    assert set((utc.at_s - helsinki.at_s).tolist()) <= {7200.0, 10_800.0}
    with pytest.raises(ArtifactError, match="unknown time zone, got 'Mars/Base'"):
        read(path, time=TimeFormat(zone="Mars/Base"))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_mixed_zones_are_read_each_in_its_own(tmp_path: Path, name: str) -> None:
    events = shop_events()
    times = [
        iso(t + (7200 if n % 2 else 0), "+02:00" if n % 2 else "Z") for n, t in enumerate(events["timestamp"])
    ]
    log, _ = read(write(tmp_path / name, {**events, "timestamp": times}))
    assert sorted(log.at_s) == sorted(map(float, events["timestamp"]))
    times[7] = iso(events["timestamp"][7], "")
    path = write(tmp_path / name, {**events, "timestamp": times})
    with pytest.raises(
        ArtifactError, match=f"line {9 if name == 'a.csv' else 8}: column timestamp must have a time zone"
    ):
        read(path)
    log, _ = read(path, time=TimeFormat(zone="UTC"))
    assert sorted(log.at_s) == sorted(map(float, events["timestamp"]))


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_typed_and_numeric_times_are_equal(tmp_path: Path, unit: TimeUnit) -> None:
    events = shop_events()
    scale = {"s": 1, "ms": 1000, "us": 1_000_000}[unit]
    seconds = pa.array(events["timestamp"], pa.int64())
    typed = {**events, "timestamp": seconds.cast(pa.timestamp("s", "UTC")).cast(pa.timestamp(unit, "UTC"))}
    pq.write_table(pa.table(typed), tmp_path / "a.parquet")
    numeric = {**events, "timestamp": [t * scale for t in events["timestamp"]]}
    one, _ = read(tmp_path / "a.parquet")
    other, _ = read(write(tmp_path / "b.csv", numeric), time=TimeFormat(unit=unit))
    assert one.at_s.tolist() == other.at_s.tolist()


def test_repeated_events_are_merged(tmp_path: Path) -> None:
    events = {name: column[:20] for name, column in shop_events().items()}
    again = {name: [*column, column[0]] for name, column in events.items()}
    again["rating"][-1] = 4.5
    path = write(tmp_path / "a.csv", again)
    summed, bad = read(path)
    last, _ = read(path, merge="last")
    assert len(summed) == len(last) == 20
    assert summed.value.sum() == pytest.approx(sum(again["rating"]))
    assert last.value.sum() == pytest.approx(sum(again["rating"]) - events["rating"][0])
    assert bad.notes == ["1 events are in the files again with the same user, item and time; they are merged"]


def test_kinds_have_a_relevance_and_other_kinds_are_left_out_and_counted(tmp_path: Path) -> None:
    events = shop_events()
    count = len(events["user_id"])
    kinds = ["purchase" if n % 3 == 0 else "click" if n % 3 == 1 else "error" for n in range(count)]
    path = write(tmp_path / "a.parquet", {**events, "event": kinds})
    columns = EventColumns(user="user_id", item="item_id", time="timestamp", kind="event")
    log, bad = read(path, columns=columns, kinds={"click": 0.2, "purchase": 1.0})
    assert log.relevance is not None
    assert set(log.relevance.tolist()) == {float(np.float32(0.2)), 1.0}
    assert bad.counts == {"kind error is not in training.events.kinds": kinds.count("error")}
    assert log.value.tolist() == log.relevance.tolist()


def test_items_without_events_are_in_the_log_and_unknown_items_get_the_median(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", shop_events())
    known = sorted(set(shop_events()["item_id"]))
    items = write(
        tmp_path / "items.csv", {"sku": [*known[1:], "new"], "price": [*range(1, len(known)), None]}
    )
    config = AttributesConfig.model_validate({"id": "sku", "features": {"price": {"log": True}}})
    log, bad = read(path, files=EventFiles(events=str(path), items=str(items)), items=config)
    price = dict(zip(log.item_ids, log.item_columns["price"].tolist(), strict=True))
    assert list(log.item_ids) == sorted([*known, "new"])
    assert price[known[0]] == price["new"] == pytest.approx(len(known) / 2)
    assert price[known[1]] == 1.0
    assert log.logs == ("price",)
    assert any("2 of" in note or "1 of" in note for note in bad.notes)


def test_files_without_a_common_id_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", shop_events())
    items = write(tmp_path / "items.csv", {"sku": ["x", "y"], "price": [1, 2]})
    config = AttributesConfig.model_validate({"id": "sku", "features": {"price": {}}})
    with pytest.raises(
        ArtifactError, match=r"items\.csv: must have the ids of the events, got no id in common"
    ):
        read(path, files=EventFiles(events=str(path), items=str(items)), items=config)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters='\0\r\n,"|;\t'), max_size=12)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=30))
def test_any_csv_is_read_or_refused_with_our_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    lines = [",".join((*row, "1")) for row in rows]
    path.write_text("\n".join(["user_id,item_id,timestamp,rating", *lines]) + "\n", encoding="utf-8")
    for skip in (False, True):
        try:
            log, bad = read(path, skip=skip)
        except ArtifactError as error:
            assert "; " in str(error)
        else:
            assert len(log) + sum(bad.counts.values()) >= 10
