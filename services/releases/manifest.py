"""The manifest of a staged release: ``release.yaml`` in its folder."""

from pydantic import BaseModel, ConfigDict

from services.stages.features import FeaturesConfig
from services.stages.scoring.scorer import ModelConfig

MANIFEST = "release.yaml"


class StagedRelease(BaseModel):
    """What ``release.yaml`` says. Paths are relative to the home; files: sha256 of what the models do not vouch for.

    features: the configuration's when it was staged. Only ``definitions`` is sure to be used; see ``features_of``.
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
