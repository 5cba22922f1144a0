"""The example request that ``rankway serve`` prints."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.features.catalogue import Catalogue
from models.features.definition import Feature, FeatureSet
from models.features.rows import UserRowCodec, row_key
from services.config.loading import load_config
from services.deployment.check import Preflight
from services.deployment.example_request import example_request
from services.stores.lmdb import LmdbStore
from tests.pipelines import FEATURES, USERS, make_pipeline
from tests.texts import write_text_model


def example(home: Path, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    config = load_config(make_pipeline(home, changes))
    preflight = Preflight(config, home)
    document: dict[str, Any] = json.loads(
        example_request(config, home, preflight.catalogue, preflight.definitions)
    )
    return document


def test_asks_for_a_user_of_the_store_at_an_item(tmp_path: Path) -> None:
    document = example(tmp_path)
    assert document["user_id"] in {f"u{user}" for user in range(USERS)}
    start = np.load(tmp_path / "catalogue" / "start.npy")[0]
    np.testing.assert_allclose(document["context"]["position"], start, atol=1e-5)
    assert document["k"] == 3


def test_asks_for_anyone_without_a_store_and_for_as_many_items_as_allowed(tmp_path: Path) -> None:
    document = example(tmp_path, {"features": {"store": None}, "requests": {"max_k": 2}})
    assert (document["user_id"], document["k"]) == ("anyone", 2)


@pytest.mark.parametrize("missing", ["catalogue", "definitions"])
def test_leaves_the_position_out_if_there_is_none(tmp_path: Path, missing: str) -> None:
    config = load_config(make_pipeline(tmp_path))
    preflight = Preflight(config, tmp_path)
    parts = {"catalogue": preflight.catalogue, "definitions": preflight.definitions, missing: None}
    assert "context" not in json.loads(example_request(config, tmp_path, **parts))  # type: ignore[arg-type]


def test_asks_for_anyone_if_requests_cannot_name_the_user_of_the_store(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path))
    shutil.rmtree(tmp_path / "users.lmdb")
    store = LmdbStore(tmp_path / "users.lmdb", readonly=False)
    row = UserRowCodec(FEATURES).encode({"bias": np.array(1.0, dtype=np.float32)})
    store.write_many([(row_key("user", b"u" * 129), row)])
    store.close()
    assert json.loads(example_request(config, tmp_path, None, None))["user_id"] == "anyone"


def test_position_is_that_of_the_first_item_that_has_one(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path))
    path = tmp_path / "catalogue" / "start.npy"
    start = np.load(path)
    start[:5] = np.nan
    np.save(path, start)
    catalogue = Catalogue.open(tmp_path / "catalogue")
    document = json.loads(example_request(config, tmp_path, catalogue, FEATURES))
    np.testing.assert_allclose(document["context"]["position"], start[5], atol=1e-5)
    np.save(path, np.full_like(start, np.nan))
    catalogue = Catalogue.open(tmp_path / "catalogue")
    assert "context" not in json.loads(example_request(config, tmp_path, catalogue, FEATURES))


def test_shows_where_a_text_belongs_if_a_model_reads_it(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path))
    texts = FeatureSet(
        features=tuple(
            Feature(name=name, group="context", dtype="text", max_length=64) for name in ("query", "remark")
        )
    )
    assert "context" not in json.loads(example_request(config, tmp_path, None, texts))
    write_text_model(tmp_path / config.models["ranker"].artifact)
    document = json.loads(example_request(config, tmp_path, None, texts))
    assert document["context"] == {"query": "your text"}
