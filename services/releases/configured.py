"""Compare a staged release with the data that the configuration names now."""

from pathlib import Path

from models.artifact import Artifact
from models.atomic_directory import settled
from models.errors import ModelError
from models.features.catalogue import Catalogue
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError
from services.releases.manifest import StagedRelease
from services.stages.features import load_definitions


def content_differences(release: StagedRelease, config: PipelineConfig, home: Path) -> list[str]:
    """Return a phrase for each model, catalogue and definition that differs between the release and the configuration.

    Data that cannot be read count as a difference, because the service runs without them.
    """
    versions = {
        "catalogue": (release.catalogue_version, _catalogue_version(home / config.catalogue)),
        "features.definitions": (release.feature_hash, _feature_hash(home / config.features.definitions)),
    }
    for name in dict.fromkeys((*config.models, *release.model_versions)):
        model = config.models.get(name)
        configured = "not configured" if model is None else _model_version(home / model.artifact)
        versions[f"models.{name}"] = (release.model_versions.get(name, "none"), configured)
    return [
        f"{part}: {staged} in the release, {configured} in the file"
        for part, (staged, configured) in versions.items()
        if staged != configured
    ]


def _catalogue_version(folder: Path) -> str:
    try:
        return Catalogue.open(settled(folder)).manifest.version
    except ModelError:
        return "unreadable"


def _feature_hash(path: Path) -> str:
    try:
        return load_definitions(path).content_hash
    except ConfigError:
        return "unreadable"


def _model_version(folder: Path) -> str:
    try:
        return Artifact.read(folder).version
    except ModelError:
        return "unreadable"
