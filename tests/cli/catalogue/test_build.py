"""``rankway catalogue build``."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.main import root
from models.features.catalogue import Catalogue
from models.features.definition import Feature, FeatureSet
from models.features.transforms import Affine

COUNT = 300
FEATURES = FeatureSet(
    features=(
        Feature(name="price", group="item", default=5.0),
        Feature(name="stock", group="item", dtype="int64"),
        Feature(name="vector", group="item", shape=(3,)),
        Feature(name="position", group="item", shape=(2,)),
        Feature(name="doubled", group="item", transform=Affine(of="item.price", scale=2.0)),
    )
)
TABLE: dict[str, Any] = {
    "sku": [f"sku {number}" for number in range(COUNT)],
    "price": [None if number == 7 else float(number) for number in range(COUNT)],
    "stock": [2**53 + 1 + number for number in range(COUNT)],
    "vector": [[number, 1.0, 2.0] for number in range(COUNT)],
    "lat": [60.0 + number / COUNT for number in range(COUNT)],
    "lon": [24.0 + number / COUNT for number in range(COUNT)],
    "title": [f"Shoe {number}" for number in range(COUNT)],
}
OPTIONS = ("--id", "sku", "--position", "lat,lon", "--text", "title")


def build(folder: Path, columns: dict[str, Any], *options: str) -> Result:
    pq.write_table(pa.table(columns), folder / "items.parquet", row_group_size=64)
    (folder / "features.yaml").write_text(yaml.safe_dump(FEATURES.model_dump(mode="json")))
    words = ["catalogue", "build", str(folder / "items.parquet"), str(folder / "out"), *options]
    return CliRunner().invoke(root(words), words)


def with_features(folder: Path, columns: dict[str, Any], *options: str) -> Result:
    return build(folder, columns, "--features", str(folder / "features.yaml"), *OPTIONS, *options)


def test_builds_the_items_of_a_table(tmp_path: Path) -> None:
    result = with_features(tmp_path, TABLE)
    assert result.exit_code == 0, result.output
    catalogue = Catalogue.open(tmp_path / "out")
    assert len(catalogue) == COUNT
    assert catalogue.manifest.position_column == "position"
    for number in (0, 7, COUNT - 1):
        row = catalogue.row_by_id[f"sku {number}"]
        price = 5.0 if number == 7 else number
        assert catalogue.columns["price"][row] == price
        assert catalogue.columns["doubled"][row] == 2 * price
        assert catalogue.columns["stock"][row] == 2**53 + 1 + number
        assert catalogue.columns["vector"][row].tolist() == [number, 1.0, 2.0]
        place = np.array([60.0 + number / COUNT, 24.0 + number / COUNT], dtype=np.float32)
        assert catalogue.columns["position"][row].tolist() == place.tolist()
        details = {"id": f"sku {number}", "properties": {"title": f"Shoe {number}"}}
        assert json.loads(catalogue.details(row)) == details
    first = catalogue.manifest.version
    assert with_features(tmp_path, TABLE).exit_code == 0
    assert Catalogue.open(tmp_path / "out").manifest.version == first
    assert with_features(tmp_path, {**TABLE, "lon": [25.0] * COUNT}).exit_code == 0
    assert Catalogue.open(tmp_path / "out").manifest.version != first


def test_infers_definitions_from_a_csv_file(tmp_path: Path) -> None:
    columns = {name: values for name, values in TABLE.items() if name != "vector"}
    pa.csv.write_csv(pa.table(columns), tmp_path / "items.csv")
    words = ["catalogue", "build", str(tmp_path / "items.csv"), str(tmp_path / "out")]
    words += ["--id", "sku", "--infer", str(tmp_path / "inferred.yaml")]
    result = CliRunner().invoke(root(words), words)
    assert result.exit_code == 0, result.output
    catalogue = Catalogue.open(tmp_path / "out")
    assert {"price", "position"} <= set(catalogue.columns)
    assert "Shoe 9" in catalogue.details(catalogue.row_by_id["sku 9"]).decode()
    definitions = FeatureSet.model_validate(yaml.safe_load((tmp_path / "inferred.yaml").read_text()))
    assert definitions.content_hash == catalogue.manifest.feature_hash


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"sku": ["same"] * COUNT}, (), "299 item ids repeat, such as 'same' in items 1 and"),
        ({"vector": [[1.0]] * COUNT}, (), "row 1: column vector must have 3 numbers"),
        ({"lat": [100.0] * COUNT}, (), "column lat must be in degrees, at most 90"),
        ({"stock": [0.5] * COUNT}, (), "column stock must fit into int64, got 0.5"),
        ({}, ("--column", "price=cost"), "no column 'cost'"),
        ({}, ("--column", "weight=price"), "--column weight=price: not an item feature of the definitions"),
        ({}, ("--column", "price"), "expected NAME=COLUMN, got 'price'"),
        ({}, ("--column", "price=lat", "--column", "price=lon"), "price is given twice"),
        ({}, ("--position", "lat"), "expected LAT,LON"),
        ({}, ("--position-feature", "price"), "must be an item feature of shape (2,), got 'price'"),
        ({}, ("--details", "title"), "column title must be a JSON object, got 'Shoe 0'"),
        ({}, ("--infer", "x.yaml"), "--features: name the feature definitions, or let --infer"),
    ],
)
def test_refuses_bad_input_and_keeps_the_old_catalogue(
    tmp_path: Path, changes: dict[str, Any], options: tuple[str, ...], message: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    result = with_features(tmp_path, {**TABLE, **changes}, *options)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]
