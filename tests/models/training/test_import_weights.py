"""Weights of our architectures: imported with the options in a file or in the metadata."""

import json
from pathlib import Path

import pytest
import yaml
from safetensors.torch import save_file

from models.artifact import Artifact
from models.errors import ArtifactError
from models.features.catalogue import Catalogue
from models.importing.target import Target
from models.training.import_weights import import_weights, read_options
from tests.models.worlds import FEATURES, make_batch, make_pooled


def target(catalogue: Catalogue) -> Target:
    return Target(FEATURES, catalogue, make_batch([5, 3], [0, 2]), "ranker", "score")


def test_weights_are_imported_with_the_options_in_their_metadata(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    module = make_pooled()
    metadata = {"architecture": module.options.model_dump_json()}
    save_file(module.state_dict(), tmp_path / "m", metadata)
    import_weights(tmp_path / "m", tmp_path / "out", target(catalogue), None)
    artifact = Artifact.load(tmp_path / "out", feature_hash=FEATURES.content_hash)
    assert set(artifact.files) == {"golden.safetensors", "model.onnx", "model.safetensors"}


def test_options_are_read_from_an_artifact_or_alone(tmp_path: Path) -> None:
    options = {"name": "pooled_ranker", "width": 8}
    (tmp_path / "artifact.yaml").write_text(yaml.safe_dump({"name": "x", "architecture": options}))
    (tmp_path / "options.json").write_text(json.dumps(options))
    assert read_options(tmp_path / "artifact.yaml") == read_options(tmp_path / "options.json") == options
    (tmp_path / "list.yaml").write_text("[1]")
    with pytest.raises(ArtifactError, match="has no options"):
        read_options(tmp_path / "list.yaml")


def test_weights_of_another_architecture_or_without_options_are_refused(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    module = make_pooled()
    save_file(module.state_dict(), tmp_path / "m")
    with pytest.raises(ArtifactError, match="does not name its architecture"):
        import_weights(tmp_path / "m", tmp_path / "out", target(catalogue), None)
    options = {**module.options.model_dump(mode="json"), "width": 16}
    with pytest.raises(ArtifactError, match="does not fit the architecture"):
        import_weights(tmp_path / "m", tmp_path / "out", target(catalogue), options)
    (tmp_path / "m").write_bytes((tmp_path / "m").read_bytes()[:100])
    with pytest.raises(ArtifactError, match="cannot be read"):
        import_weights(tmp_path / "m", tmp_path / "out", target(catalogue), options)
    assert not (tmp_path / "out").exists()
