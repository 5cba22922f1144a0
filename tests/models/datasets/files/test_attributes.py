from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.datasets.attribute_config import AttributesConfig
from models.datasets.files.attribute_columns import hashed
from models.datasets.files.attribute_roles import attributes_of, feature_name, guess_attributes
from models.datasets.files.attributes import Attributes, read_attributes
from models.datasets.files.problems import BadRows
from models.datasets.files.profiles import profile_of, sample_of
from models.datasets.files.progress import silent
from models.datasets.files.tables import open_table
from models.errors import ArtifactError
from tests.models.datasets.files.tables import Columns, write

PRODUCTS: dict[str, list[Any]] = {
    "sku": ["00012", "b", "c"],
    "price": [1.5, None, 4.5],
    "tags": ["red|big", "red", None],
    "vector": [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]],
    "lat": [60.1, 60.2, 60.3],
    "lon": [24.9, 24.8, 24.7],
    "title": ["A small red ball", "Another one", "The last of all"],
}
FEATURES: dict[str, Any] = {
    "price": {},
    "tags": {"kind": "category", "separator": "|"},
    "vector": {"kind": "vector"},
}


def read(path: Path, *, skip: bool = False, **config: Any) -> tuple[Attributes, BadRows]:
    bad = BadRows(skip=skip)
    given = AttributesConfig.model_validate({"id": "sku", **config})
    return read_attributes(open_table(str(path)), given, bad, silent), bad


def test_every_kind_of_feature_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", PRODUCTS)
    found, _ = read(path, features=FEATURES, position=["lat", "lon"], texts=["title"])
    assert found.ids.to_pylist() == PRODUCTS["sku"]
    assert found.values["price"].tolist() == [1.5, 3.0, 4.5]
    assert found.slots["tags"] == ["big", "red"]
    assert found.values["tags"].tolist() == [[1, 1], [0, 1], [0, 0]]
    assert found.values["vector"].tolist() == PRODUCTS["vector"]
    np.testing.assert_allclose(found.values["position"][0], [60.1, 24.9], rtol=1e-6)
    rows = np.array([2, -1])
    assert found.columns(rows)["price"].tolist() == [4.5, 3.0]
    assert found.texts(rows) == {"title": ["The last of all", None]}


def test_a_million_categories_are_hashed_to_the_slots(tmp_path: Path) -> None:
    count = 20_000
    path = write(
        tmp_path / "a.parquet",
        {"sku": [str(n) for n in range(count)], "tag": [f"t{n}" for n in range(count)]},
    )
    found, bad = read(path, features={"tag": {"kind": "category", "slots": 16}})
    assert found.values["tag"].shape == (count, 16)
    assert (found.values["tag"].sum(axis=1) == 1).all()
    assert bad.notes == ["column tag has 20,000 values, which are hashed to 16 slots"]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("sku", "00012", "column sku must have each id once"),
        ("price", "cheap", "column price must be a finite number"),
        ("vector", [1.0], "column vector must have 2 numbers"),
        ("vector", [1.0, float("nan")], "column vector must have finite numbers"),
        ("lat", 124.9, "column lat must be in degrees, at most 90"),
    ],
)
def test_a_bad_row_is_named_or_skipped(tmp_path: Path, column: str, value: Any, message: str) -> None:
    columns = {name: [*values] for name, values in PRODUCTS.items()}
    columns[column][2] = value
    path = write(tmp_path / "a.jsonl", columns)
    config: dict[str, Any] = {"features": FEATURES, "position": ["lat", "lon"]}
    with pytest.raises(ArtifactError, match=rf"a\.jsonl line 3: {message}"):
        read(path, **config)
    found, bad = read(path, skip=True, **config)
    assert len(found.ids) == 2
    assert sum(bad.counts.values()) == 1


def guessed(tmp_path: Path, columns: Columns, what: str = "items", **named: list[str]) -> AttributesConfig:
    sample = sample_of(open_table(str(write(tmp_path / "a.parquet", columns))), BadRows())
    profiles = [profile_of(name, sample.column(name)) for name in sample.column_names]
    return attributes_of(guess_attributes(profiles, what, "sku", named), profiles, what)


def test_roles_of_item_columns_are_understood(tmp_path: Path) -> None:
    many = {name: [*values] * 40 for name, values in PRODUCTS.items()}
    many["sku"] = [str(n) for n in range(120)]
    many["title"] = [f"An article with number {n}" for n in range(120)]
    found = guessed(tmp_path, {**many, "colour": ["red", "blue", "red"] * 40, "empty": [None] * 120})
    assert found.id == "sku"
    assert {name: one.kind for name, one in found.features.items()} == {
        "price": "number", "tags": "category", "colour": "category", "vector": "vector"
    }  # fmt: skip
    assert found.features["tags"].separator is None  # three values are too few to tell
    assert found.position == ("lat", "lon")
    assert found.texts == ("title",)


def test_a_table_without_id_is_refused_and_a_named_id_is_used(tmp_path: Path) -> None:
    columns: Columns = {"reference": ["a", "b"], "price": [1, 2]}
    with pytest.raises(ArtifactError, match=r"--column items\.id=NAME, one of reference, price"):
        guessed(tmp_path, columns)
    assert guessed(tmp_path, columns, id=["reference"]).id == "reference"
    with pytest.raises(ArtifactError, match="no such column"):
        guessed(tmp_path, columns, id=["nothing"])
    with pytest.raises(ArtifactError, match=r"unknown role, got items\.colour"):
        guessed(tmp_path, columns, colour=["price"])


def test_skewed_numbers_are_read_as_logarithms(tmp_path: Path) -> None:
    columns: Columns = {"sku": [str(n) for n in range(50)], "price": [*range(1, 50), 100_000]}
    assert guessed(tmp_path, columns).features["price"].log


@given(st.lists(st.text(max_size=20), max_size=8))
def test_feature_names_are_valid_and_distinct(columns: list[str]) -> None:
    taken: set[str] = set()
    for column in [*columns, "number", "popularity", "history_value", "Größe", "1st"]:
        name = feature_name(column, taken)
        assert name not in taken
        taken.add(name)
    AttributesConfig.model_validate({"id": "a", "features": {name: {} for name in taken}})


@given(st.lists(st.text(max_size=20), min_size=1), st.integers(2, 4096))
def test_the_slot_of_a_text_depends_on_the_text_only(texts: list[str], slots: int) -> None:
    alone = [int(hashed(pa.array([text]), slots)[0]) for text in texts]
    assert hashed(pa.array(texts), slots).tolist() == alone
    assert all(0 <= slot < slots for slot in alone)
