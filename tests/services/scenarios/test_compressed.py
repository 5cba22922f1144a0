"""Compressed models in a pipeline: checked, served by each runtime, and released."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from models.artifact import Artifact
from models.compress.steps.registry import STEPS
from services.app import StandaloneApp
from services.config.loading import load_config
from services.deployment.check import check_artifacts
from services.releases.loading import load_release
from services.releases.staging import ReleaseFolder
from tests.models.compress.homes import PIPELINE, data_in, model_in, write_home
from tests.models.compress.works import make_work
from tests.pipelines import merged
from tests.services.servers import ask, http_server, rank_request

STEPS_OF: dict[str, dict[str, Any]] = {
    "pruned": {"kind": "prune", "heads": 0.5, "hidden": 0.5, "importance": "magnitude", "tune": None},
    "factorised": {"kind": "low_rank", "energy": 0.9, "lists": 20, "tune": None},
    "quantised": {"kind": "quantize"},
}
SERVED = [
    ("pruned", "onnx"),
    ("pruned", "torch"),
    ("factorised", "onnx"),
    ("factorised", "torch"),
    ("quantised", "onnx"),
]
REQUEST: dict[str, Any] = {
    "user_id": "nobody",
    "candidates": ["item-1", "item-2", "item-3"],
    "explain": True,
    "context": {"position": [60.0, 60.0], "hour": 12.0, "rain_mm": 0.0},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with a chain of compressed rankers: each is made from the one before."""
    home = write_home(tmp_path_factory.mktemp("compressed"))
    parent = "ranker"
    for name, options in STEPS_OF.items():
        kind = STEPS.get(options["kind"])
        (home / "scratch").mkdir(exist_ok=True)
        work = make_work(model_in(home), home / "scratch", data_in(home))
        kind.run(kind.config.model_validate(options), model_in(home, parent), home / "models" / name, work)
        parent = name
    return home


def pipeline(home: Path, model: str, kind: str = "onnx", **ranker: Any) -> Path:
    """Write a pipeline whose ranker is a compressed model."""
    changes: dict[str, Any] = {
        "models": {"ranker": {"artifact": f"models/{model}", "runtime": {"kind": kind}}},
        "ranker": ranker,
        "candidates": {"kind": "sample", "count": 20},
        "reranker": {"best": 20},
    }
    document = merged(PIPELINE, changes)
    path = home / f"{model}-{kind}.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize(("model", "kind"), SERVED)
def test_compressed_ranker_is_checked_and_answers(home: Path, model: str, kind: str) -> None:
    path = pipeline(home, model, kind)
    assert check_artifacts(load_config(path), home) == []
    with http_server(StandaloneApp(path, home)) as port:
        reply = ask(port, rank_request(REQUEST)).json
    assert reply["models"]["ranker"] == Artifact.load(home / "models" / model).version
    scores = [item["score"] for item in reply["items"]]
    assert len(scores) == 3
    assert np.isfinite(scores).all()
    assert reply["degraded"] is None


@pytest.mark.parametrize("model", STEPS_OF)
def test_compressed_ranker_may_keep_its_histories(home: Path, model: str) -> None:
    path = pipeline(home, model, history_cache={})
    assert check_artifacts(load_config(path), home) == []


def test_quantised_ranker_has_no_weights_for_pytorch(home: Path) -> None:
    (fault,) = check_artifacts(load_config(pipeline(home, "quantised", "torch")), home)
    assert fault.startswith(
        "models.ranker.runtime.kind: artifact small has no .safetensors file for torch, got "
    )


def test_released_model_stays_although_the_recipe_replaces_its_folder(home: Path, tmp_path: Path) -> None:
    versions = {name: Artifact.load(home / "models" / name).version for name in STEPS_OF}
    names = {}
    for model in STEPS_OF:
        config = load_config(pipeline(home, model))
        folder = ReleaseFolder(home, config.name)
        names[model] = folder.stage(config).name
    (home / "models" / "pruned").rename(tmp_path / "aside")
    try:
        for model, name in names.items():
            release = load_release(folder.applied(config, name), home, config.units["main"].stages)
            assert release.model_versions["ranker"] == versions[model]
            release.close()
    finally:
        (tmp_path / "aside").rename(home / "models" / "pruned")
