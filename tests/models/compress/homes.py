"""A data home with a small world, a ranker and a reranker with random weights, and a pipeline that names them."""

from pathlib import Path
from typing import Any

import yaml
from safetensors.numpy import load_file, save_file

from models.architectures.base import Architecture
from models.artifact import GOLDEN, Artifact
from models.assembly import InputAssembler
from models.compress.data.pipeline import PipelineData
from models.compress.steps.base import Model
from models.features.catalogue import Catalogue
from models.runtimes.golden import golden_batch
from models.training.config import TrainingConfig
from models.training.folders import TrainingFolders
from tests.models.runtimes.artifacts import write_model
from tests.models.training.test_train import DOCUMENT
from tests.models.worlds import (
    FEATURES,
    make_batch,
    make_catalogue,
    make_impressions,
    make_pooled,
    make_ranker,
    make_reranker,
)
from tests.plugins.packages import install

MODELS = ("ranker", "reranker", "distilled")
PIPELINE: dict[str, Any] = {
    "name": "small",
    "catalogue": "catalogue",
    "features": {"definitions": "features.yaml"},
    "models": {name: {"artifact": f"models/{name}"} for name in MODELS},
    "ranker": {"model": "ranker"},
    "reranker": {"model": "reranker"},
    "fallback": {"model": "distilled"},
    "units": {"main": {"stages": ["features", "ranker", "reranker"]}},
    "training": DOCUMENT,
}


def write_home(home: Path) -> Path:
    """Write the data, the models and ``pipeline.yaml``."""
    catalogue = make_catalogue(home / "catalogue")
    make_impressions(home / "impressions" / "train", catalogue, 60, 0)
    make_impressions(home / "impressions" / "valid", catalogue, 41, 1)
    (home / "features.yaml").write_text(yaml.safe_dump(FEATURES.model_dump(mode="json")))
    (home / "pipeline.yaml").write_text(yaml.safe_dump(PIPELINE))
    for name, module in zip(MODELS, (make_ranker(), make_reranker(), make_pooled()), strict=True):
        write_small(home / "models" / name, module, catalogue)
    return home


def write_small(root: Path, module: Architecture, catalogue: Catalogue) -> Artifact:
    """Write a module as an artifact with an ONNX graph and golden requests."""
    signature = module.signature(FEATURES.content_hash)
    golden = InputAssembler(signature, catalogue)(golden_batch(make_batch([9, 5], [4, 0])))
    return write_model(root, module, FEATURES.content_hash, golden, onnx=True)


def folders_in(home: Path) -> TrainingFolders:
    return TrainingFolders(
        catalogue=home / "catalogue", data=home / "impressions", ranker=home / "models" / "ranker"
    )


def data_in(home: Path, *, max_report_lists: int | None = None, **training: Any) -> PipelineData:
    config = TrainingConfig.model_validate({**DOCUMENT, **training})
    return PipelineData(
        config,
        FEATURES,
        folders_in(home),
        cache=home / "scores",
        progress=lambda *_, **__: None,
        max_report_lists=max_report_lists,
    )


def model_in(home: Path, name: str = "ranker") -> Model:
    root = home / "models" / name
    return Model(root, Artifact.load(root))


def damage_golden(model: Model) -> None:
    """Change the stored scores of a model, so that it fails on its golden requests."""
    path = model.root / GOLDEN
    stored = load_file(path)
    save_file({name: values + name.startswith("output") for name, values in stored.items()}, path)


def install_noise(site: Path) -> None:
    """Declare the step of tests as that of an installed package."""
    install(site, "noise", {}, {"rankway.compressions": {"noise": "tests.models.compress.noise:STEP"}})


def recipe_document(**fields: Any) -> dict[str, Any]:
    """Return a recipe with a single step and short measurements."""
    return {
        "pipeline": "pipeline.yaml",
        "model": "ranker",
        "out": "compressed",
        "gate": {"max_ndcg_loss": 1.0, "min_speedup": 0.0},
        "measure": {"candidates": [5, 20], "seconds": 0.01},
        "steps": ["noise"],
        "trust": ["tests"],
        **fields,
    }
