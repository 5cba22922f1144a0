"""Artifacts: models on disk, each an ``artifact.yaml`` beside weights in safetensors or ONNX, never pickle."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.atomic_directory import settled, written_whole
from models.documents.faults import fault_lines
from models.documents.reading import read_document
from models.errors import ArtifactError, DocumentError, FeatureMismatch
from models.signature import Signature

MANIFEST = "artifact.yaml"
GOLDEN = "golden.safetensors"
MeasuredRuntime = Literal["onnx", "lightgbm", "xgboost"]
"""The kinds of runtimes that an import compares. An artifact cannot name others, such as those of a plug-in."""


class Artifact(BaseModel):
    """Content of ``artifact.yaml``.

    Attributes:
        weights: the file that a runtime loads, ``.onnx`` or ``.safetensors``, or the file of a tree library.
        files: sha256 by path relative to the artifact.
        runtime: kind of the runtime that was the fastest when the model was imported. ``runtime: {kind: auto}`` uses
            it. None: no other runtime was measured.
        architecture: name and options. Empty for an ONNX model from another source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    signature: Signature
    weights: str
    files: dict[str, str]
    runtime: MeasuredRuntime | None = None
    architecture: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    lineage: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> Self:
        """Read the manifest in ``root`` without checking the other files.

        Raises:
            ArtifactError: there is no artifact, or its manifest cannot be read or has an unknown field.
        """
        path = settled(root) / MANIFEST
        if not path.is_file():
            raise ArtifactError(
                f"no artifact at {root}: {MANIFEST} is missing; train or copy the model there"
            )
        try:
            data, text = read_document(path, closed=False)
            artifact = cls.model_validate(data)
        except DocumentError as error:
            raise ArtifactError(str(error)) from error
        except ValidationError as error:
            raise ArtifactError("\n".join(fault_lines(error, data, cls, str(path), text))) from error
        if artifact.weights not in artifact.files:
            raise ArtifactError(
                f"{path}: weights must be one of files, got {artifact.weights!r}; list this file "
                f"under files, with its sha256"
            )
        return artifact

    @classmethod
    def load(cls, root: Path, *, feature_hash: str | None = None) -> Self:
        """Read the artifact at ``root`` and verify its files.

        If ``feature_hash`` is given and the model has a feature hash too, the two are compared.

        Raises:
            ArtifactError: there is no artifact, its manifest cannot be read, or a file is missing or altered.
            FeatureMismatch: the model was trained with other feature definitions.
        """
        root = settled(root)
        artifact = cls.read(root)
        for name, expected in artifact.files.items():
            _verify(root / name, expected)
        hash_of_model = artifact.signature.feature_hash
        if feature_hash is not None and hash_of_model and hash_of_model != feature_hash:
            raise FeatureMismatch(
                f"artifact {artifact.name} at {root}: trained with feature hash {hash_of_model}, but this pipeline has "
                f"{feature_hash}; train the model again, or serve it with the feature definitions of its training"
            )
        return artifact

    def check_version(self, root: Path) -> None:
        """Check that the version is the hash of the signature and files, so that it names the content.

        Raises:
            ArtifactError: the version, the signature or a hash was changed by hand.
        """
        expected = _version_of(self.signature, self.files)
        if self.version != expected:
            raise ArtifactError(
                f"{settled(root) / MANIFEST}: version must be {expected}, the hash of the signature and files, got "
                f"{self.version!r}; copy the artifact again, or make it again with rankway train or models import"
            )


def write_artifact(
    root: Path,
    *,
    name: str,
    signature: Signature,
    weights: str,
    write_files: Callable[[Path], None],
    runtime: MeasuredRuntime | None = None,
    architecture: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    lineage: Mapping[str, Any] | None = None,
) -> Artifact:
    """Write an artifact completely or not at all.

    ``write_files`` gets an empty folder and writes the model's files into it. The artifact's version is a hash of
    these files and the signature. The other fields do not change it.
    """
    with written_whole(root) as staging:
        write_files(staging)
        files = {str(p.relative_to(staging)): sha256_of(p) for p in sorted(staging.rglob("*")) if p.is_file()}
        artifact = Artifact(
            name=name,
            version=_version_of(signature, files),
            signature=signature,
            weights=weights,
            files=files,
            runtime=runtime,
            architecture=dict(architecture or {}),
            metrics=dict(metrics or {}),
            lineage=dict(lineage or {}),
        )
        (staging / MANIFEST).write_text(
            yaml.safe_dump(artifact.model_dump(mode="json", exclude_none=True), sort_keys=False)
        )
    return artifact


def _version_of(signature: Signature, files: Mapping[str, str]) -> str:
    content = signature.model_dump_json(exclude_none=True) + repr(sorted(files.items()))
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def sha256_of(path: Path) -> str:
    """Return a file's sha256 in hex, without reading the whole file at once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(path: Path, expected: str) -> None:
    if not path.is_file():
        raise ArtifactError(
            f"artifact file {path} is missing; copy the artifact again, or train the model again"
        )
    actual = sha256_of(path)
    if actual != expected:
        raise ArtifactError(
            f"artifact file {path} has sha256 {actual[:12]}…, but {MANIFEST} lists {expected[:12]}…, so the copy "
            f"is damaged; copy the artifact again"
        )
