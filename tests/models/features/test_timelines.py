from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from models.errors import ArtifactError
from models.features.catalogue import Catalogue, item_key
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.features.sent import FIRST_UNKNOWN_ROW, SENT
from models.features.timelines import INDEX, ItemTimelines, item_column, write_timelines
from models.features.transforms import NOW
from models.ragged import RaggedBatch

FEATURES = FeatureSet(
    features=(
        Feature(name=NOW.removeprefix("context."), group="context", dtype="float64"),
        Feature(name="number", group="item", dtype="int64"),
        Feature(name="popularity", group="item"),
    )
)
IDS = ("old", "new", "imported")
"""The last one has no timeline, as an item that was added to the catalogue without events."""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    columns = {
        "number": np.array([1, 2, 0]),
        "popularity": np.log1p([2, 1, 6]).astype(np.float32),
    }
    write_catalogue(
        tmp_path / "catalogue", name="small", version="1", features=FEATURES, ids=IDS, columns=columns
    )
    return Catalogue.open(tmp_path / "catalogue")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys = np.array([item_key(item) for item in IDS[:2]])
    write_timelines(
        tmp_path / "timelines",
        {"number": "from_first", "popularity": "log_count"},
        keys=keys,
        item=np.array([1, 0, 0]),
        at_s=np.array([30.0, 20.0, 10.0]),
    )
    return tmp_path / "timelines"


def lists_at(catalogue: Catalogue, *times: float) -> RaggedBatch:
    rows = [catalogue.row_by_id[item] for item in IDS]
    return RaggedBatch(
        offsets=np.arange(len(times) + 1) * len(IDS),
        rows=np.array(rows * len(times)),
        requests={NOW: np.array(times)},
    )


def test_each_list_has_the_values_of_its_own_time(catalogue: Catalogue, folder: Path) -> None:
    timelines, lists = ItemTimelines.open(folder, catalogue), lists_at(catalogue, 10.0, 20.0, 99.0)
    popularity = np.expm1(item_column("popularity", lists, catalogue, timelines)).round()
    assert popularity.reshape(3, 3).tolist() == [[0, 0, 6], [1, 0, 6], [2, 1, 6]]
    number = item_column("number", lists, catalogue, timelines)
    assert number.reshape(3, 3).tolist() == [[0, 0, 0], [1, 0, 0], [1, 2, 0]]
    assert np.expm1(item_column("popularity", lists, catalogue, None)).round().tolist() == [2, 1, 6] * 3


def test_a_value_that_came_with_the_item_stays(catalogue: Catalogue, folder: Path) -> None:
    sent = np.array([7.0, 8.0, 9.0], dtype=np.float32)
    lists = lists_at(catalogue, 0.0).adding(candidates={"item.popularity": sent})
    timelines = ItemTimelines.open(folder, catalogue)
    assert item_column("popularity", lists, catalogue, timelines).tolist() == sent.tolist()


def test_only_the_candidates_that_were_sent_keep_their_values_in_training_lists(
    catalogue: Catalogue, folder: Path
) -> None:
    lists = lists_at(catalogue, 99.0)
    lists = replace(lists, rows=np.array([FIRST_UNKNOWN_ROW, *lists.rows[1:]]))
    values = np.array([7.0, -1.0, 9.0], dtype=np.float32)
    lists = lists.adding(candidates={"item.popularity": values, SENT: np.array([0, -1, 1])})
    timelines = ItemTimelines.open(folder, catalogue)
    assert item_column("popularity", lists, catalogue, timelines) == pytest.approx([7.0, np.log1p(1), 9.0])


def test_lists_without_times_are_refused(catalogue: Catalogue, folder: Path) -> None:
    lists = RaggedBatch(offsets=np.array([0, 1]), rows=np.array([0]))
    with pytest.raises(ArtifactError, match=r"no context\.now_s; build the data set again"):
        ItemTimelines.open(folder, catalogue).of_candidates("popularity", lists, lists.request_of())


def test_timelines_without_events_or_items_are_read(catalogue: Catalogue, tmp_path: Path) -> None:
    nothing = np.empty(0, dtype=np.int64)
    write_timelines(
        tmp_path / "empty",
        {"popularity": "log_count"},
        keys=nothing,
        item=nothing,
        at_s=np.empty(0),
    )
    timelines, lists = ItemTimelines.open(tmp_path / "empty", catalogue), lists_at(catalogue, 10.0)
    assert np.expm1(item_column("popularity", lists, catalogue, timelines)).round().tolist() == [2, 1, 6]


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        (INDEX, b"", "cannot be read"),
        (INDEX, b'{"columns": {"popularity": "mean"}}', "cannot be read"),
        (INDEX, b'{"columns": {"fame": "log_count"}}', "has no column fame"),
        ("at_s.npy", b"cut", "cannot be read"),
    ],
)
def test_damaged_timelines_are_refused(
    catalogue: Catalogue, folder: Path, file: str, content: bytes, problem: str
) -> None:
    (folder / file).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"(?s){problem}.*build the data set again"):
        ItemTimelines.open(folder, catalogue)


def test_missing_timelines_and_wrong_lengths_are_refused(catalogue: Catalogue, folder: Path) -> None:
    with pytest.raises(ArtifactError, match=r"timelines\.json is missing; build the data set again"):
        ItemTimelines.open(folder.with_name("none"), catalogue)
    np.save(folder / "at_s.npy", np.empty(2))
    with pytest.raises(ArtifactError, match="do not fit the catalogue small; build"):
        ItemTimelines.open(folder, catalogue)
