"""Staged releases on disk: ``<home>/<pipeline>/releases/`` has a folder for each release, and their history.

A folder has ``release.yaml``, and hard links to the catalogue and the models, or copies if the file system has no hard
links. The feature definitions are copied. Training the next model in the same place therefore does not change a
staged release. The feature store, the overlay and the catalogue's deltas are not part of a release: they keep changing
while releases serve (see ``staged_features.py``). Deltas belong to the catalogue itself, so a release has those of its
own catalogue. A release's name is made from its content.
"""

import os
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from autoscale.registries.trust import trusting
from models.artifact import Artifact, sha256_of
from models.atomic_directory import settled, written_whole
from models.features.catalogue import Catalogue
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError, ReleaseError
from services.releases.history import ReleaseHistory
from services.releases.manifest import MANIFEST, StagedRelease
from services.releases.release import release_name
from services.releases.staged_features import differences, features_of
from services.releases.steps import Steps, complete
from services.stages.scoring.scorer import ModelConfig

_NAME = re.compile(r"[A-Za-z0-9_-]+")


class ReleaseFolder:
    """One pipeline's staged releases.

    Attributes:
        root: the folder with the releases.
        history: the releases that were active.
    """

    def __init__(self, home: Path, pipeline: str, trust: Sequence[str] = ()) -> None:
        """Keep the paths. The folder is made when a release is staged.

        Args:
            home: the folder from which relative paths start.
            pipeline: the pipeline's name.
            trust: the packages whose code a release may name, as configured in the pipeline.
        """
        self._home, self._trust = home, tuple(trust)
        self.root = home / pipeline / "releases"
        self.history = ReleaseHistory(self.root)
        self._hashed: dict[tuple[int, ...], str] = {}

    def stage(self, config: PipelineConfig) -> StagedRelease:
        """Stage the models, catalogue and feature definitions that ``config`` names as a release.

        A release with the same content has the same name, and is replaced.

        Raises:
            ModelError: an artifact or the catalogue cannot be used.
            ReleaseError: the folder cannot be written.
        """
        source = settled(self._home / config.catalogue)
        catalogue = Catalogue.open(source).manifest
        versions = {n: Artifact.load(self._home / m.artifact).version for n, m in config.models.items()}
        name = release_name(catalogue.version, catalogue.feature_hash, versions)
        try:
            with written_whole(self.root / name) as folder:
                _link_tree(source, folder / "catalogue")
                shutil.copyfile(settled(self._home / config.features.definitions), folder / "features.yaml")
                for model, model_config in config.models.items():
                    _link_tree(settled(self._home / model_config.artifact), folder / "models" / model)
                own = [*sorted((folder / "catalogue").rglob("*")), folder / "features.yaml"]
                relative = f"{self.root.relative_to(self._home)}/{name}"
                release = StagedRelease(
                    name=name,
                    staged_at=datetime.now(UTC).isoformat(timespec="seconds"),
                    catalogue=f"{relative}/catalogue",
                    catalogue_version=catalogue.version,
                    feature_hash=catalogue.feature_hash,
                    features=config.features.model_copy(update={"definitions": f"{relative}/features.yaml"}),
                    models={
                        model: model_config.model_copy(update={"artifact": f"{relative}/models/{model}"})
                        for model, model_config in config.models.items()
                    },
                    model_versions=versions,
                    files={str(p.relative_to(folder)): sha256_of(p) for p in own if p.is_file()},
                )
                (folder / MANIFEST).write_text(
                    yaml.safe_dump(release.model_dump(mode="json"), sort_keys=False)
                )
        except OSError as error:
            raise ReleaseError(
                f"release {name} cannot be written to {self.root}: {error}; make the folder writable, or free space"
            ) from error
        return release

    def read(self, name: str) -> StagedRelease:
        """Read one release's manifest.

        Raises:
            ReleaseError: no release has that name, or its manifest cannot be read.
        """
        if not _NAME.fullmatch(name):  # a name may come from a command line, and must never be a path
            raise ReleaseError(
                f"name: must have only letters, digits, - and _, got {name!r}; "
                f"`rankway release list` shows the names"
            )
        path = settled(self.root / name) / MANIFEST
        try:
            with trusting(self._trust):
                return StagedRelease.model_validate(yaml.load(path.read_text(), yaml.CSafeLoader))
        except FileNotFoundError:
            known = ", ".join(release.name for release in self.staged()) or "none"
            raise ReleaseError(
                f"name: must be a release that is staged at {self.root}, got {name}; the staged releases are: {known}"
            ) from None
        except (OSError, ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise ReleaseError(f"{path} cannot be read: {error}; stage the release again") from error

    def staged(self) -> list[StagedRelease]:
        """Return all staged releases, the oldest first.

        Raises:
            ReleaseError: a manifest cannot be read.
        """
        # A writer may have temporary folders here too, named after the release, with a dot and a suffix.
        names = {path.parent.name.partition(".")[0] for path in self.root.glob(f"*/{MANIFEST}")}
        releases = [self.read(name) for name in sorted(names) if _NAME.fullmatch(name)]
        return sorted(releases, key=lambda release: (release.staged_at, release.name))

    def applied(self, config: PipelineConfig, name: str | None) -> PipelineConfig:
        """Return ``config`` with a staged release's data, or unchanged for None.

        Raises:
            ReleaseError: as for ``applied_steps``.
        """
        return complete(self.applied_steps(config, name))

    def applied_steps(self, config: PipelineConfig, name: str | None) -> Steps[PipelineConfig]:
        """Do the work of ``applied`` in steps. Each step hashes one file.

        Raises:
            ReleaseError: the release does not exist, its files have changed since it was staged, or it lacks a model
                that the pipeline needs.
        """
        if name is None:
            return config
        release, hashed = self.read(name), self._hashed
        self._hashed = {}
        for file, expected in release.files.items():
            path = settled(self.root / name) / file
            actual = self._sha256_of(path, hashed) if path.is_file() else "none"
            yield
            if actual != expected:
                raise ReleaseError(
                    f"release {name}: {path} must have sha256 {expected[:12]}, got {actual[:12]}; stage the release "
                    f"again"
                )
        staged: dict[str, Any] = {
            "catalogue": release.catalogue,
            "deltas": config.deltas_folder,
            "features": features_of(release.features, config.features, self._home).model_dump(mode="json"),
            "models": {
                n: _with_present_runtime(m, config.models.get(n)).model_dump(mode="json")
                for n, m in release.models.items()
            },
        }
        try:
            return PipelineConfig.model_validate(config.model_dump(mode="json") | staged)
        except ValidationError as error:
            raise ReleaseError(f"release {name} does not fit pipeline {config.name}: {error}") from error

    def differences(self, config: PipelineConfig, name: str | None) -> list[str]:
        """Return a line for each field in ``features`` that has changed in ``config`` since the release was staged.

        Raises:
            ReleaseError: as for ``read``.
        """
        return [] if name is None else differences(self.read(name).features, config.features, self._home)

    def _sha256_of(self, path: Path, hashed: dict[tuple[int, ...], str]) -> str:
        """Return a file's sha256. Reuse the hash in ``hashed`` if the previous release has the same file.

        Releases share files because staging makes hard links.
        """
        status = path.stat()
        identity = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        digest = hashed.get(identity) or sha256_of(path)
        self._hashed[identity] = digest
        return digest


def _with_present_runtime(staged: ModelConfig, present: ModelConfig | None) -> ModelConfig:
    """Return a staged model's configuration. If its runtime is ``auto``, use the runtime that the pipeline has now."""
    if staged.runtime.kind != "auto" or present is None:
        return staged
    return staged.model_copy(update={"runtime": present.runtime})


def _link_tree(source: Path, target: Path) -> None:
    """Link a folder's files into another folder, or copy them if the file system has no hard links."""

    def link_or_copy(path: str, copy: str) -> str:
        try:
            os.link(path, copy)
        except OSError:
            shutil.copyfile(path, copy)
        return copy

    if not source.is_dir():
        raise ConfigError(f"{source}: must be a folder; train or build it first")
    shutil.copytree(source, target, copy_function=link_or_copy)
