"""Given as plain files, the public sets become the same data as through the shipped configurations.

Equal lists, equal catalogue items and equal training options give equal quality. Item features may be scaled otherwise,
because the model standardises them.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from cli.build import build
from cli.new import new
from models.datasets.build import EventData
from models.datasets.updating import ensure_event_data
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.view import FeatureView
from models.impressions import read_impressions
from models.ragged import RaggedArray, RaggedBatch
from models.training.config import RankerTraining
from services.config.loading import load_config
from services.stages.features import load_definitions
from tests.models.datasets.files.public_sets import export_movielens, export_online_retail

ROOT = Path(__file__).resolve().parents[3]
SAME_COUNTS = ("items", "users", "events", "valid_from_s", "test_from_s", "train", "valid", "test")
SAME_OPTIONS = ("number", "repeats", "history_values", "size", "dropout", "fit", "profile")


def command(function: Callable[..., None], *arguments: str) -> None:
    app = typer.Typer()
    app.command()(function)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output


def lists(data: EventData, features: FeatureSet, split: str) -> tuple[RaggedBatch, NDArray[np.float32]]:
    catalogue = Catalogue.open(data.catalogue)
    batch, labels = read_impressions(
        data.impressions / split, feature_hash=features.content_hash, keys_to_rows=catalogue.rows_of_keys
    )
    return FeatureView(features, catalogue).completed(batch), labels


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "export", "events", "items", "features"),
    [
        ("ml100k", export_movielens, "ratings.parquet", "movies.csv", {"genres": "genres", "year": "year"}),
        ("retail", export_online_retail, "sales.csv", "products.parquet", {"price": "price_log"}),
    ],
)
def test_files_give_the_data_and_the_training_of_the_shipped_configuration(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: str,
    export: Callable[[Path], None],
    events: str,
    items: str,
    features: dict[str, str],
) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shipped = load_config(ROOT / "configs" / f"{config}.yaml")
    assert shipped.training is not None
    assert shipped.training.events is not None
    ours = EventData(tmp_path / "shipped")
    ensure_event_data(shipped.training.events, ours)
    export(tmp_path)
    command(new, "mine", "--events", events, "--items", items)
    command(build, "mine.yaml")
    mine, theirs = EventData(tmp_path / "mine" / "data"), ours
    manifests: list[dict[str, Any]] = [json.loads(data.manifest.read_text()) for data in (mine, theirs)]
    assert [manifests[0][name] for name in SAME_COUNTS] == [manifests[1][name] for name in SAME_COUNTS]
    definitions = [load_definitions(data.definitions) for data in (mine, theirs)]
    for split in ("train", "valid", "test"):
        (batch, labels), (expected, expected_labels) = (
            lists(data, one, split) for data, one in zip((mine, theirs), definitions, strict=True)
        )
        np.testing.assert_array_equal(labels, expected_labels)
        np.testing.assert_array_equal(batch.rows, expected.rows)
        np.testing.assert_array_equal(batch.offsets, expected.offsets)
        for name, column in expected.requests.items():
            mine_column = batch.requests[name]
            assert isinstance(column, RaggedArray)
            assert isinstance(mine_column, RaggedArray)
            np.testing.assert_array_equal(mine_column.values, column.values, name)
            np.testing.assert_array_equal(mine_column.offsets, column.offsets, name)
    catalogues = [Catalogue.open(data.catalogue) for data in (mine, theirs)]
    for name, ours_name in {"number": "number", "popularity": "popularity", **features}.items():
        values, wanted = catalogues[0].columns[ours_name], catalogues[1].columns[name]
        if values.ndim == 2:
            np.testing.assert_array_equal(values, wanted)
        else:
            assert np.corrcoef(values, wanted)[0, 1] > (
                0.9 if name == "price" else 0.99 if name != "year" else 0.8
            )
    written = load_config(Path("mine.yaml")).training
    assert written is not None
    assert written.over_catalogue == shipped.training.over_catalogue
    assert written.max_valid_lists == shipped.training.max_valid_lists
    for option in SAME_OPTIONS:
        assert getattr(written.ranker, option) == getattr(shipped.training.ranker, option), option
    assert isinstance(written.ranker, RankerTraining)
    assert isinstance(shipped.training.ranker, RankerTraining)
    assert len(written.ranker.items) == len(shipped.training.ranker.items)
