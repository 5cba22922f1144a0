"""Warnings about an active release that differs from the pipeline's file."""

import shutil
from pathlib import Path

import pytest
import yaml

from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.deployment.advice import release_warnings
from services.errors import ReleaseError
from services.releases.staging import ReleaseFolder
from tests.pipelines import FEATURES, make_pipeline
from tests.services.releasing import stage_shifted, write_shifted

FILE = Path("shop.yaml")


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> PipelineConfig:
    return load_config(make_pipeline(tmp_path))


def activate(config: PipelineConfig, home: Path, offset: float = 0.0) -> str:
    name = stage_shifted(config, home, offset)
    ReleaseFolder(home, config.name).history.note_active(name)
    return name


def test_no_warning_without_an_active_release(config: PipelineConfig, tmp_path: Path) -> None:
    assert release_warnings(config, FILE, tmp_path) == []


def test_no_warning_if_the_active_release_has_the_data_of_the_file(
    config: PipelineConfig, tmp_path: Path
) -> None:
    activate(config, tmp_path)
    assert release_warnings(config, FILE, tmp_path) == []


def test_retrained_model_is_named_with_the_commands_that_serve_it(
    config: PipelineConfig, tmp_path: Path
) -> None:
    name = activate(config, tmp_path)
    write_shifted(tmp_path / "model", 0.5)
    (warning,) = release_warnings(config, FILE, tmp_path)
    assert warning.startswith(f"release {name} is active and is served, not the data that shop.yaml names (")
    assert "models.ranker: " in warning
    assert "catalogue" not in warning
    assert warning.endswith("rankway release stage shop.yaml && rankway release activate shop.yaml")
    (warning,) = release_warnings(config, Path("my shop.yaml"), tmp_path)
    assert warning.endswith("rankway release stage 'my shop.yaml' && rankway release activate 'my shop.yaml'")
    release = ReleaseFolder(tmp_path, config.name).stage(config)
    ReleaseFolder(tmp_path, config.name).history.note_active(release.name)
    assert release_warnings(config, FILE, tmp_path) == []


def test_other_definitions_and_missing_data_are_differences(config: PipelineConfig, tmp_path: Path) -> None:
    activate(config, tmp_path)
    document = FEATURES.model_dump(mode="json")
    document["features"][0]["default"] = 3.0
    (tmp_path / "features.yaml").write_text(yaml.safe_dump(document))
    shutil.rmtree(tmp_path / "catalogue")
    shutil.rmtree(tmp_path / "model")
    (warning,) = release_warnings(config, FILE, tmp_path)
    assert "catalogue: 1 in the release, unreadable in the file" in warning
    assert f"features.definitions: {FEATURES.content_hash} in the release" in warning
    assert "models.ranker: " in warning


def test_active_release_that_is_gone_is_an_error(config: PipelineConfig, tmp_path: Path) -> None:
    name = activate(config, tmp_path)
    shutil.rmtree(tmp_path / "small" / "releases" / name)
    with pytest.raises(ReleaseError, match="must be a release that is staged"):
        release_warnings(config, FILE, tmp_path)
