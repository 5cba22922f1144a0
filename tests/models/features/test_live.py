"""Live item features: rows have the values that were set, also from disk and in another catalogue version."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.errors import ArtifactError, FeatureMismatch
from models.features.catalogue import Catalogue, item_key
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.features.live import INDEX, LiveColumns, LiveItems

CLOSED = Feature(name="closed", group="live", dtype="uint8")
PRICE = Feature(name="price", group="live", shape=(2,), default=(5.0, 6.0))
FEATURES = FeatureSet(features=(CLOSED, PRICE))
ITEMS = 8


def catalogue_of(root: Path, items: range) -> Catalogue:
    write_catalogue(
        root,
        name="shop",
        version="1",
        features=FEATURES,
        ids=[f"item-{i}" for i in items],
        columns={},
        details=[b"{}"] * len(items),
    )
    return Catalogue.open(root)


@pytest.fixture(name="catalogue", scope="module")
def _catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return catalogue_of(tmp_path_factory.mktemp("catalogue") / "catalogue", range(ITEMS))


def keys_of(*items: int) -> NDArray[np.int64]:
    return np.array([item_key(f"item-{i}") for i in items], dtype=np.int64)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["closed", "price"]),
            st.lists(st.integers(0, ITEMS + 2), max_size=4),
            st.integers(0, 9),
        ),
        max_size=6,
    )
)
def test_item_has_the_value_that_was_set_last_or_the_default(
    catalogue: Catalogue, settings: list[tuple[str, list[int], int]]
) -> None:
    live = LiveItems.none(FEATURES)
    closed: dict[int, int] = {}
    price: dict[int, int] = {}
    for name, items, value in settings:
        live = live.setting(FEATURES, name, keys_of(*items), value)
        (closed if name == "closed" else price).update(dict.fromkeys(items, value))
    live.check(FEATURES)
    rows = np.array([catalogue.row_by_id[f"item-{i}"] for i in range(ITEMS)])
    columns = LiveColumns(live, FEATURES, catalogue).columns((CLOSED, PRICE), rows)
    assert columns["live.closed"].tolist() == [closed.get(i, 0) for i in range(ITEMS)]
    assert columns["live.price"].tolist() == [
        [price[i], price[i]] if i in price else [5.0, 6.0] for i in range(ITEMS)
    ]
    assert columns["live.closed"].dtype == np.uint8


def test_written_values_are_valid_for_the_next_version_of_the_catalogue(tmp_path: Path) -> None:
    LiveItems.none(FEATURES).setting(FEATURES, "closed", keys_of(2, 5), 1).write(tmp_path / "live", FEATURES)
    later = catalogue_of(tmp_path / "catalogue", range(4, 12))  # without item 2
    live = LiveColumns(LiveItems.open(tmp_path / "live", FEATURES), FEATURES, later)
    closed = live.columns((CLOSED,), np.arange(8))["live.closed"]
    assert [later.ids[row] for row in np.flatnonzero(closed)] == ["item-5"]


def test_a_folder_that_cannot_be_used_is_refused_with_the_remedy(tmp_path: Path) -> None:
    root = tmp_path / "live"
    with pytest.raises(ArtifactError, match="write them first"):
        LiveItems.open(root, FEATURES)
    LiveItems.none(FEATURES).write(root, FEATURES)
    other = FeatureSet(features=(CLOSED.model_copy(update={"default": 1.0}), PRICE))
    with pytest.raises(FeatureMismatch, match="with the current definitions"):
        LiveItems.open(root, other)
    (root / "keys.npy").write_bytes(b"")
    with pytest.raises(ArtifactError, match="write them again"):
        LiveItems.open(root, FEATURES)
    (root / INDEX).write_text("{}")
    with pytest.raises(ArtifactError, match="cannot be read"):
        LiveItems.open(root, FEATURES)


KEYS = np.array([1, 2], dtype=np.int64)
WHOLE: dict[str, NDArray[Any]] = {"closed": np.zeros(2, np.uint8), "price": np.zeros((2, 2), np.float32)}


@pytest.mark.parametrize(
    ("live", "message"),
    [
        (LiveItems(KEYS[::-1], WHOLE), "keys must be int64 and ascending"),
        (
            LiveItems(KEYS, {"closed": WHOLE["closed"]}),
            r"must be exactly \['closed', 'price'\], got \['closed'\]",
        ),
        (
            LiveItems(KEYS, {**WHOLE, "closed": np.zeros(2)}),
            r"live\.closed must be uint8 of shape \(2,\), got float64 of shape \(2,\)",
        ),
        (
            LiveItems(KEYS, {**WHOLE, "price": np.full((2, 2), np.nan, np.float32)}),
            "contains NaN or infinity",
        ),
    ],
)
def test_refuses_to_write_values_that_do_not_match_the_definitions(
    tmp_path: Path, live: LiveItems, message: str
) -> None:
    with pytest.raises(ArtifactError, match=message):
        live.write(tmp_path / "live", FEATURES)
    assert not (tmp_path / "live").exists()
