"""Written impressions are read back with the current catalogue's rows."""

from pathlib import Path

import numpy as np
import pytest

from models.errors import ArtifactError, FeatureMismatch
from models.features.catalogue import Catalogue
from models.impressions import impressions_writer, read_impressions, write_impressions
from models.ragged import RaggedArray, RaggedBatch
from tests.models.worlds import FEATURES, make_batch

HASH = FEATURES.content_hash


def test_reads_back_written_impressions(tmp_path: Path, catalogue: Catalogue) -> None:
    batch = make_batch([3, 2, 4], [2, 0, 3])
    labels = np.linspace(0, 1, 9, dtype=np.float32)
    keys = catalogue.keys[batch.rows].copy()
    keys[4] = 12345  # an item that the catalogue no longer has
    write_impressions(tmp_path / "train", batch, labels, feature_hash=HASH, keys=keys)
    read, read_labels = read_impressions(
        tmp_path / "train", feature_hash=HASH, keys_to_rows=catalogue.rows_of_keys
    )
    np.testing.assert_array_equal(read_labels, labels)
    np.testing.assert_array_equal(read.offsets, batch.offsets)
    assert read.rows[4] == -1
    np.testing.assert_array_equal(np.delete(read.rows, 4), np.delete(batch.rows, 4))
    assert set(read.requests) == set(batch.requests)
    history, expected = read.requests["user.history"], batch.requests["user.history"]
    assert isinstance(history, RaggedArray)
    assert isinstance(expected, RaggedArray)
    for request in range(3):
        np.testing.assert_array_equal(history[request], expected[request])


def test_reports_missing_impressions(tmp_path: Path, catalogue: Catalogue) -> None:
    with pytest.raises(ArtifactError, match="build the data set first"):
        read_impressions(tmp_path, feature_hash=HASH, keys_to_rows=catalogue.rows_of_keys)


def test_other_feature_definitions_are_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    batch = make_batch([2], [1])
    write_impressions(
        tmp_path / "d", batch, np.zeros(2, np.float32), feature_hash="f" * 16, keys=catalogue.keys[batch.rows]
    )
    with pytest.raises(FeatureMismatch, match="build the data set again"):
        read_impressions(tmp_path / "d", feature_hash=HASH, keys_to_rows=catalogue.rows_of_keys)


@pytest.mark.parametrize(
    "name", ["impressions.json", "offsets.npy", "labels.npy", "user.history.npy", "user.history.offsets.npy"]
)
@pytest.mark.parametrize("left", [0, 100, None])
def test_reports_damaged_impressions(
    tmp_path: Path, catalogue: Catalogue, name: str, left: int | None
) -> None:
    batch = make_batch([3, 2], [2, 1])
    keys = catalogue.keys[batch.rows]
    write_impressions(tmp_path / "d", batch, np.zeros(5, np.float32), feature_hash=HASH, keys=keys)
    path = tmp_path / "d" / name
    path.unlink() if left is None else path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ArtifactError, match="build"):
        read_impressions(tmp_path / "d", feature_hash=HASH, keys_to_rows=catalogue.rows_of_keys)


def test_reports_labels_of_other_impressions(tmp_path: Path, catalogue: Catalogue) -> None:
    batch = make_batch([3, 2], [2, 1])
    keys = catalogue.keys[batch.rows]
    write_impressions(tmp_path / "d", batch, np.zeros(5, np.float32), feature_hash=HASH, keys=keys)
    np.save(tmp_path / "d" / "labels.npy", np.zeros(4, np.float32))
    with pytest.raises(ArtifactError, match="labels has 4 values, expected 5"):
        read_impressions(tmp_path / "d", feature_hash=HASH, keys_to_rows=catalogue.rows_of_keys)


def test_impressions_that_are_written_in_parts_equal_those_written_at_once(tmp_path: Path) -> None:
    batch = RaggedBatch(
        offsets=np.array([0, 2, 2, 5]),
        rows=np.zeros(5, dtype=np.int64),
        requests={
            "user.history": RaggedArray(np.arange(4), np.array([0, 1, 4, 4])),
            "context.now_s": np.arange(3.0),
        },
        candidates={"position": np.arange(5, dtype=np.int64)},
    )
    keys, labels = np.arange(5, dtype=np.int64), np.ones(5, dtype=np.float32)
    write_impressions(tmp_path / "whole", batch, labels, feature_hash="h", keys=keys)
    with impressions_writer(tmp_path / "parts", feature_hash="h") as write:
        for start, end in ((0, 1), (1, 1), (1, 3)):
            rows = slice(batch.offsets[start], batch.offsets[end])
            write(batch.take(np.arange(start, end)), labels[rows], keys[rows])
    files = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "parts").iterdir())
    for name in files:
        if name.endswith(".npy"):
            np.testing.assert_array_equal(
                np.load(tmp_path / "whole" / name), np.load(tmp_path / "parts" / name)
            )


def test_impressions_that_fail_halfway_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), impressions_writer(tmp_path / "parts", feature_hash="h"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
