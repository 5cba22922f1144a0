"""A catalogue's rows, keys and details stay together."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from models.errors import ArtifactError
from models.features.catalogue import MANIFEST, Catalogue, item_key
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.features.transforms import Affine

IDS = [f"route-{number}" for number in range(50)]


def write(root: Path, ids: list[str] | None = None, rows: int | None = None) -> Catalogue:
    ids = IDS if ids is None else ids
    number = np.arange(len(ids) if rows is None else rows, dtype=np.float32)
    write_catalogue(
        root,
        name="small",
        version="1",
        features=FeatureSet(features=()),
        ids=ids,
        columns={"number": number},
        details=[item_id.encode() for item_id in ids],
    )
    return Catalogue.open(root)


def test_all_columns_are_in_the_order_of_keys(tmp_path: Path) -> None:
    catalogue = write(tmp_path / "c")
    assert len(catalogue) == len(IDS)
    assert (np.diff(catalogue.keys) > 0).all()
    for number, item_id in enumerate(IDS):
        row = catalogue.row_by_id[item_id]
        assert catalogue.columns["number"][row] == number
        assert catalogue.details(row) == item_id.encode()
        assert catalogue.rows_of_keys(np.array([item_key(item_id)])).tolist() == [row]


def test_unknown_keys_have_no_row(tmp_path: Path) -> None:
    catalogue = write(tmp_path / "c")
    keys = np.array([item_key("route-51"), 0, np.iinfo(np.int64).max])
    assert catalogue.rows_of_keys(keys).tolist() == [-1, -1, -1]


def test_keys_stay_the_same_in_another_version(tmp_path: Path) -> None:
    before, after = write(tmp_path / "a"), write(tmp_path / "b", [*IDS[10:], "route-new"])
    rows = after.rows_of_keys(np.asarray(before.keys))
    assert {after.ids[row] for row in rows if row >= 0} == set(IDS[10:])


def test_repeated_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="item ids repeat"):
        write(tmp_path / "c", ["a", "b", "a"])


def test_a_column_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="number has 7 rows for 50 ids"):
        write(tmp_path / "c", rows=7)


def test_reports_a_missing_catalogue(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="build it first"):
        Catalogue.open(tmp_path)


def test_a_damaged_catalogue_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "c")
    np.save(tmp_path / "c" / "number.npy", np.zeros(3))
    with pytest.raises(ArtifactError, match=r"number .* has 3 rows"):
        Catalogue.open(tmp_path / "c")
    (tmp_path / "c" / "number.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ArtifactError, match="build it again"):
        Catalogue.open(tmp_path / "c")
    (tmp_path / "c" / MANIFEST).write_text("name: [")
    with pytest.raises(ArtifactError, match="cannot be read"):
        Catalogue.open(tmp_path / "c")


@pytest.mark.parametrize("name", ["number", "ids", "keys", "details", "details_offsets"])
def test_rejects_a_truncated_catalogue(tmp_path: Path, name: str) -> None:
    write(tmp_path / "c")
    path = tmp_path / "c" / f"{name}.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ArtifactError, match="cannot be read"):
        Catalogue.open(tmp_path / "c")


def test_keys_of_another_catalogue_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "c")
    np.save(tmp_path / "c" / "keys.npy", np.arange(3))
    with pytest.raises(ArtifactError, match=r"column keys .* has 3 rows"):
        Catalogue.open(tmp_path / "c")


DERIVED = FeatureSet(
    features=(
        Feature(name="length_m", group="item"),
        Feature(name="length_km", group="item", transform=Affine(of="item.length_m", scale=0.001)),
    )
)


def test_computes_derived_columns_when_the_catalogue_is_written(tmp_path: Path) -> None:
    write = partial(
        write_catalogue,
        tmp_path / "c",
        name="roads",
        version="1",
        features=DERIVED,
        ids=["a"],
        details=[b"{}"],
    )
    write(columns={"length_m": np.array([1500.0], dtype=np.float32)})
    column = Catalogue.open(tmp_path / "c").columns["length_km"]
    assert column.tolist() == [1.5]
    assert column.dtype == np.float32
    with pytest.raises(
        ArtifactError, match=r"item\.length_km is computed from column length_m, which is missing"
    ):
        write(columns={})


def test_items_without_details_have_their_id_only(tmp_path: Path) -> None:
    write_catalogue(
        tmp_path / "c",
        name="shop",
        version="1",
        features=FeatureSet(features=()),
        ids=['a "shoe"', "b"],
        columns={"number": np.zeros(2)},
    )
    catalogue = Catalogue.open(tmp_path / "c")
    assert [json.loads(catalogue.details(row))["id"] for row in range(2)] == catalogue.ids
