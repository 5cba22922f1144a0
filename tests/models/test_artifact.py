"""Artifacts are written completely or not at all, and rejected after any change."""

from pathlib import Path

import pytest
import yaml

from models.artifact import MANIFEST, Artifact, write_artifact
from models.errors import ArtifactError, FeatureMismatch
from models.signature import InputSpec, Signature

SIGNATURE = Signature(inputs=(InputSpec(name="x", source="item.x"),), feature_hash="0123456789abcdef")


def write(root: Path, content: bytes = b"weights") -> Artifact:
    def write_files(staging: Path) -> None:
        (staging / "model.onnx").write_bytes(content)

    return write_artifact(
        root,
        name="small",
        signature=SIGNATURE,
        weights="model.onnx",
        write_files=write_files,
        metrics={"ndcg_at_10": 0.5},
        lineage={"seed": 1},
    )


def test_reads_back_a_written_artifact(tmp_path: Path) -> None:
    written = write(tmp_path / "m")
    assert Artifact.load(tmp_path / "m") == written


def test_version_is_a_hash_of_the_content(tmp_path: Path) -> None:
    first, same, other = write(tmp_path / "a"), write(tmp_path / "b"), write(tmp_path / "c", b"other")
    assert first.version == same.version != other.version


def test_a_version_changed_by_hand_is_refused_with_the_right_one(tmp_path: Path) -> None:
    artifact = write(tmp_path / "m")
    artifact.check_version(tmp_path / "m")
    manifest = tmp_path / "m" / MANIFEST
    manifest.write_text(manifest.read_text().replace(artifact.version, "aaaaaaaaaaaa"))
    with pytest.raises(ArtifactError, match=rf"version must be {artifact.version}.*got 'aaaaaaaaaaaa'"):
        Artifact.load(tmp_path / "m").check_version(tmp_path / "m")


def test_reports_a_missing_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"artifact\.yaml is missing; train or copy"):
        Artifact.load(tmp_path)


def test_error_names_a_missing_file(tmp_path: Path) -> None:
    write(tmp_path / "m")
    (tmp_path / "m" / "model.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"model\.onnx is missing"):
        Artifact.load(tmp_path / "m")


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "m")
    (tmp_path / "m" / "model.onnx").write_bytes(b"weightz")
    with pytest.raises(ArtifactError, match="the copy is damaged"):
        Artifact.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("{", "cannot be read"),
        ("name: small", "version: missing; add it"),
        ("\x00\x01", "cannot be read"),
        ("surprise: 1", r"artifact.yaml:\d+: surprise: no such field"),
    ],
    ids=["broken", "bare", "binary", "unknown"],
)
def test_a_damaged_manifest_is_refused(tmp_path: Path, damage: str, message: str) -> None:
    write(tmp_path / "m")
    manifest = tmp_path / "m" / MANIFEST
    manifest.write_text(manifest.read_text() + "surprise: 1\n" if damage == "surprise: 1" else damage)
    with pytest.raises(ArtifactError, match=message):
        Artifact.load(tmp_path / "m")


def test_weights_that_are_not_listed_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "m")
    manifest = tmp_path / "m" / MANIFEST
    document = yaml.safe_load(manifest.read_text())
    document["weights"] = "other.onnx"
    manifest.write_text(yaml.safe_dump(document))
    with pytest.raises(ArtifactError, match=r"weights must be one of files, got 'other\.onnx'"):
        Artifact.load(tmp_path / "m")


def test_other_feature_definitions_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "m")
    assert Artifact.load(tmp_path / "m", feature_hash=SIGNATURE.feature_hash).name == "small"
    with pytest.raises(FeatureMismatch, match="train the model again"):
        Artifact.load(tmp_path / "m", feature_hash="f" * 16)


def test_a_failed_write_leaves_the_old_artifact(tmp_path: Path) -> None:
    old = write(tmp_path / "m")

    def fail(staging: Path) -> None:
        (staging / "model.onnx").write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_artifact(
            tmp_path / "m", name="small", signature=SIGNATURE, weights="model.onnx", write_files=fail
        )
    assert Artifact.load(tmp_path / "m") == old
