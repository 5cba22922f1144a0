"""Releases on disk: a staged release does not change."""

from pathlib import Path

import pytest
import yaml

from models.artifact import Artifact, sha256_of
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ReleaseError
from services.releases import staging
from services.releases.loading import load_release
from services.releases.staging import ReleaseFolder
from tests.pipelines import make_pipeline
from tests.services.releasing import stage_shifted


@pytest.fixture
def config(tmp_path: Path) -> PipelineConfig:
    return load_config(make_pipeline(tmp_path))


@pytest.fixture
def folder(tmp_path: Path, config: PipelineConfig) -> ReleaseFolder:
    return ReleaseFolder(tmp_path, config.name)


def test_a_release_has_a_name_from_its_content_and_outlives_its_sources(
    tmp_path: Path, config: PipelineConfig, folder: ReleaseFolder
) -> None:
    first = folder.stage(config)
    assert folder.stage(config).name == first.name
    version = Artifact.read(tmp_path / "model").version
    other = stage_shifted(config, tmp_path, 0.25)
    assert other != first.name
    assert {release.name for release in folder.staged()} == {first.name, other}
    release = load_release(folder.applied(config, first.name), tmp_path, ("features", "ranker"))
    assert release.name == first.name
    assert release.model_versions == {"ranker": version} == folder.read(first.name).model_versions
    release.close()


@pytest.mark.parametrize("damaged", ["features.yaml", "catalogue/value.npy"])
@pytest.mark.parametrize("missing", [False, True])
def test_reports_files_that_changed_after_staging(
    config: PipelineConfig, folder: ReleaseFolder, damaged: str, missing: bool
) -> None:
    name = folder.stage(config).name
    path = folder.root / name / damaged
    content = path.read_bytes()
    path.unlink()  # it is a hard link: the original file is not changed
    if not missing:
        path.write_bytes(content + b"x")
    with pytest.raises(
        ReleaseError, match=rf"{damaged} must have sha256 .*, got .*; stage the release again"
    ):
        folder.applied(config, name)
    assert folder.stage(config).name == name
    folder.applied(config, name)


def test_reads_a_release_that_a_killed_writer_had_moved_aside(
    config: PipelineConfig, folder: ReleaseFolder
) -> None:
    release = folder.stage(config)
    aside = folder.root / release.name
    aside.rename(aside.with_name(f"{release.name}.replaced"))
    assert folder.read(release.name) == release
    assert folder.staged() == [release]
    assert folder.applied(config, release.name).catalogue == release.catalogue
    assert folder.stage(config).name == release.name
    assert folder.staged() == [folder.read(release.name)]


def test_hashes_a_file_that_two_releases_share_once(
    config: PipelineConfig, folder: ReleaseFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [folder.stage(config).name, stage_shifted(config, tmp_path, 0.5)]
    hashed: list[str] = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr(staging, "sha256_of", counted)
    folder.applied(config, names[0])
    assert "value.npy" in hashed
    hashed.clear()
    for name in (*names, *names):
        folder.applied(config, name)
    # The definitions are small, so they are copied into each release.
    assert set(hashed) <= {"features.yaml"}
    value = folder.root / names[0] / "catalogue" / "value.npy"
    content = value.read_bytes()
    value.unlink()
    value.write_bytes(content)
    folder.applied(config, names[0])
    assert "value.npy" in hashed


def test_reports_missing_and_unreadable_releases_with_a_remedy(
    config: PipelineConfig, folder: ReleaseFolder
) -> None:
    with pytest.raises(
        ReleaseError,
        match=r"name: must be a release that is staged at .*, got none-such; the staged releases are: none",
    ):
        folder.read("none-such")
    name = folder.stage(config).name
    (folder.root / name / "release.yaml").write_text("name: [")
    with pytest.raises(ReleaseError, match="stage the release again"):
        folder.read(name)


def test_refuses_a_release_without_a_model_of_the_pipeline(
    config: PipelineConfig, folder: ReleaseFolder
) -> None:
    name = folder.stage(config).name
    path = folder.root / name / "release.yaml"
    document = yaml.safe_load(path.read_text())
    document["models"] = {"other": document["models"]["ranker"]}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ReleaseError, match="does not fit pipeline small"):
        folder.applied(config, name)
