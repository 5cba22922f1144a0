"""A staged release's manifest: the file ``release.yaml`` in its folder."""

from pydantic import BaseModel, ConfigDict

from services.stages.features import FeaturesConfig
from services.stages.scoring.scorer import ModelConfig

MANIFEST = "release.yaml"


class StagedRelease(BaseModel):
    """The content of ``release.yaml``. Paths are relative to the home.

    Attributes:
        name: the name, made from the content.
        staged_at: when the release was staged, in ISO 8601 and UTC.
        catalogue: the catalogue's folder.
        feature_hash: the feature definitions' content hash.
        features: the configuration's ``features`` when the release was staged. Their field ``definitions`` is always
            used, and the other fields only in the cases that ``features_of`` describes.
        files: the sha256 of each file in the catalogue, and of the definitions. The models' hashes are in the
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
