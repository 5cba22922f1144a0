"""Staged releases on disk: ``<home>/<pipeline>/releases/``, a folder each beside their history.

A folder holds ``release.yaml`` beside hard links to (or copies of) the catalogue, the feature definitions and the
models, so that training the next model in the same place leaves it as it was. The store of users' rows and the
overlay are not part of a release: they go on changing under all of them (``staged_features.py``). What a release is
made of gives it its name.
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
    """The staged releases of one pipeline."""

    def __init__(self, home: Path, pipeline: str, trust: Sequence[str] = ()) -> None:
        """Nothing is made until something is staged.

        trust: the packages whose code a release's configuration may name, as the pipeline has them.
        """
        self._home, self._trust = home, tuple(trust)
        self.root = home / pipeline / "releases"
        self.history = ReleaseHistory(self.root)
        self._hashed: dict[tuple[int, ...], str] = {}

    def stage(self, config: PipelineConfig) -> StagedRelease:
        """Keep what ``config`` names as a release; the same content is the same release, staged anew.

        Raises:
            ModelError: an artifact or the catalogue cannot be used. ReleaseError: it cannot be written.
        """
        source = settled(self._home / config.catalogue)
        catalogue = Catalogue.open(source).manifest
        versions = {n: Artifact.load(self._home / m.artifact).version for n, m in config.models.items()}
        name = release_name(catalogue.version, catalogue.feature_hash, versions)
        try:
            with written_whole(self.root / name) as folder:
                _link(source, folder / "catalogue")
                shutil.copyfile(settled(self._home / config.features.definitions), folder / "features.yaml")
                for model, model_config in config.models.items():
                    _link(settled(self._home / model_config.artifact), folder / "models" / model)
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
            raise ReleaseError(f"release {name} cannot be written to {self.root}: {error}") from error
        return release

    def read(self, name: str) -> StagedRelease:
        """Read one release.

        Raises:
            ReleaseError: there is none of that name, or it cannot be read.
        """
        if not _NAME.fullmatch(name):  # never a path: it may come from a command line
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
        """Give all releases, the oldest first."""
        # Beside a release there may be folders of a writer, whose names go on with a dot.
        names = {path.parent.name.partition(".")[0] for path in self.root.glob(f"*/{MANIFEST}")}
        releases = [self.read(name) for name in sorted(names) if _NAME.fullmatch(name)]
        return sorted(releases, key=lambda release: (release.staged_at, release.name))

    def applied(self, config: PipelineConfig, name: str | None) -> PipelineConfig:
        """Return ``config`` over the data of a staged release; itself for None.

        Raises:
            ReleaseError: as ``applied_steps``.
        """
        return complete(self.applied_steps(config, name))

    def applied_steps(self, config: PipelineConfig, name: str | None) -> Steps[PipelineConfig]:
        """As ``applied``; a step hashes one file.

        Raises:
            ReleaseError: there is no such release, its files are not as they were staged, or it lacks a model.
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
                    f"release {name}: {path} must have sha256 {expected[:12]}, got {actual[:12]}; stage it again"
                )
        staged: dict[str, Any] = {
            "catalogue": release.catalogue,
            "features": features_of(release.features, config.features, self._home).model_dump(mode="json"),
            "models": {
                n: _chosen(m, config.models.get(n)).model_dump(mode="json") for n, m in release.models.items()
            },
        }
        try:
            return PipelineConfig.model_validate(config.model_dump(mode="json") | staged)
        except ValidationError as error:
            raise ReleaseError(f"release {name} does not fit pipeline {config.name}: {error}") from error

    def differences(self, config: PipelineConfig, name: str | None) -> list[str]:
        """Return a line for each field of ``features`` that ``config`` has changed since the release was staged.

        Raises:
            ReleaseError: as ``read``.
        """
        return [] if name is None else differences(self.read(name).features, config.features, self._home)

    def _sha256_of(self, path: Path, hashed: dict[tuple[int, ...], str]) -> str:
        """Hash a file, unless it is one of those of the release before: staging makes hard links."""
        status = path.stat()
        identity = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        digest = hashed.get(identity) or sha256_of(path)
        self._hashed[identity] = digest
        return digest


def _chosen(staged: ModelConfig, present: ModelConfig | None) -> ModelConfig:
    """Give a staged model with the runtime that the pipeline chose for it, where it is staged with none."""
    if staged.runtime.kind != "auto" or present is None:
        return staged
    return staged.model_copy(update={"runtime": present.runtime})


def _link(source: Path, target: Path) -> None:
    """Put the files of a folder elsewhere: as hard links where the file system can, else as copies."""

    def put(path: str, copy: str) -> str:
        try:
            os.link(path, copy)
        except OSError:
            shutil.copyfile(path, copy)
        return copy

    if not source.is_dir():
        raise ConfigError(f"{source}: must be a folder; train or build it first")
    shutil.copytree(source, target, copy_function=put)
