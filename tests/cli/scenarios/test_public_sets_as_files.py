"""Given as plain files, the public sets become the same model as through the shipped configurations.

Lists, catalogue, timelines and training options are equal, bit for bit. So the same seed gives the same weights.
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

from benchmarks.ranking.plain_files import write_movielens, write_online_retail
from cli.build import build
from cli.new import new
from models.datasets.build import EventData
from models.datasets.updating import ensure_event_data
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.view import FeatureView
from models.impressions import read_impressions
from models.ragged import Column, RaggedArray, RaggedBatch
from models.training.config import TrainingConfig
from models.training.export import SAFETENSORS
from models.training.folders import TrainingFolders
from models.training.ranker_config import RankerTraining
from models.training.train import Trainer
from services.config.loading import load_config
from services.stages.features import load_definitions

ROOT = Path(__file__).resolve().parents[3]
SAME_COUNTS = ("items", "users", "events", "valid_from_s", "test_from_s", "train", "valid", "test")


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


def parts_of(column: Column) -> list[NDArray[Any]]:
    return [column.values, column.offsets] if isinstance(column, RaggedArray) else [column]


def short_training(training: TrainingConfig, data: EventData, root: Path) -> bytes:
    """Return the weights after a training on a few lists."""
    assert isinstance(training.ranker, RankerTraining)
    fit = training.ranker.fit.model_copy(update={"max_lists": 256, "epochs": 1})
    short = training.model_copy(
        update={"max_valid_lists": 20, "ranker": training.ranker.model_copy(update={"fit": fit})}
    )
    folders = TrainingFolders(data.catalogue, data.impressions, root, timelines=data.timelines)
    Trainer(short, load_definitions(data.definitions), folders, lambda *_: None).run()
    return (root / SAFETENSORS).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "export", "events", "items"),
    [
        ("ml100k", write_movielens, "ratings.parquet", "movies.csv"),
        ("retail", write_online_retail, "sales.csv", "products.csv"),
    ],
)
def test_files_give_the_data_the_options_and_the_weights_of_the_shipped_configuration(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: str,
    export: Callable[[Path], None],
    events: str,
    items: str,
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
            for values, wanted in zip(parts_of(mine_column), parts_of(column), strict=True):
                np.testing.assert_array_equal(values, wanted, name)
    catalogues = [Catalogue.open(data.catalogue) for data in (mine, theirs)]
    assert catalogues[0].ids == catalogues[1].ids
    assert set(catalogues[0].columns) == set(catalogues[1].columns)
    for name, values in catalogues[0].columns.items():
        np.testing.assert_array_equal(values, catalogues[1].columns[name], name)
    for path in sorted(theirs.timelines.glob("*.npy")):
        assert path.read_bytes() == (mine.timelines / path.name).read_bytes()
    written = load_config(Path("mine.yaml")).training
    assert written is not None
    others = {"data": "", "events": None}
    assert written.model_copy(update=others) == shipped.training.model_copy(update=others)
    weights = [
        short_training(shipped.training, data, tmp_path / f"ranker-{index}")
        for index, data in enumerate((mine, theirs))
    ]
    assert weights[0] == weights[1]
