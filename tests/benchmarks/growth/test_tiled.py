"""Catalogues of any size, made of an existing one."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.growth.tiled import home_with, write_tiled_catalogue
from models.features.catalogue import Catalogue, item_key
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet

IDS = ["a", "b", "c"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "shop" / "models").mkdir(parents=True)
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    features = FeatureSet(features=(Feature(name="v", group="item", shape=(2,)),))
    write_catalogue(
        home / "shop" / "catalogue",
        name="shop",
        version="1",
        features=features,
        ids=IDS,
        columns={"v": values},
    )
    return home


def test_source_items_keep_their_values_and_new_items_repeat_them(home: Path, tmp_path: Path) -> None:
    (tmp_path / "larger").mkdir()
    home_with(tmp_path / "larger", home, Path("shop/catalogue"), 1000)
    source = Catalogue.open(home / "shop" / "catalogue")
    tiled = Catalogue.open(tmp_path / "larger" / "shop" / "catalogue")
    assert (tmp_path / "larger" / "shop" / "models").is_symlink()
    assert len(tiled) == len(set(tiled.ids)) == 1000
    assert np.array_equal(tiled.keys, [item_key(item_id) for item_id in tiled.ids])
    assert (np.diff(tiled.keys) > 0).all()
    for item in IDS:
        own, copy = source.columns["v"][source.row_by_id[item]], tiled.columns["v"][tiled.row_by_id[item]]
        assert np.array_equal(own, copy)
    counts = np.unique(tiled.columns["v"][:, 0], return_counts=True)[1]
    assert sorted(counts.tolist()) == [333, 333, 334]
    assert tiled.details(999) == b"{}"


def test_changes_of_the_manifest_are_written(home: Path, tmp_path: Path) -> None:
    source = Catalogue.open(home / "shop" / "catalogue")
    write_tiled_catalogue(tmp_path / "other", source, 3, {"feature_hash": "f00"})
    assert Catalogue.open(tmp_path / "other").manifest.feature_hash == "f00"
