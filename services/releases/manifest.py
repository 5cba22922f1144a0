"""The manifest of a staged release: the file ``release.yaml`` in its folder."""

from pydantic import BaseModel, ConfigDict

from services.stages.features import FeaturesConfig
from services.stages.scoring.scorer import ModelConfig

MANIFEST = "release.yaml"


class StagedRelease(BaseModel):
    """The content of ``release.yaml``. Paths are relative to the home.

    Attributes:
        name: the name, made from the content.
        staged_at: the time of staging, in ISO 8601 and UTC.
        catalogue: the folder of the catalogue.
        catalogue_version: the version of the catalogue.
        feature_hash: the content hash of the feature definitions.
        features: the ``features`` of the configuration at the time of staging. Of these only ``definitions`` is always
            used. See ``features_of``.
        models: the models by name.
        model_versions: the versions of the models by name.
        files: the sha256 of each file of the catalogue and of the definitions. The models' files have theirs in the
            artifacts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    staged_at: str
    catalogue: str
    catalogue_version: str
    feature_hash: str
    features: FeaturesConfig
    models: dict[str, ModelConfig]
    model_versions: dict[str, str]
    files: dict[str, str]
