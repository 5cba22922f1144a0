"""The catalogue that a pipeline serves: that of the active release, or the one that the configuration names."""

from dataclasses import dataclass
from pathlib import Path

from models.artifact import Artifact
from models.atomic_directory import settled
from models.errors import ModelError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.text.item_tokens import item_texts
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.paths import home_directory
from services.releases.staging import ReleaseFolder
from services.stages.features import load_definitions, refuse_other_features


@dataclass(frozen=True)
class Served:
    """A pipeline's catalogue.

    Attributes:
        release: the active release. None: the configuration's data are served.
        catalogue: the catalogue without deltas.
        other: the version of the catalogue that the configuration names, if it is another one.
    """

    config: PipelineConfig
    home: Path
    release: str | None
    definitions: FeatureSet
    catalogue: Catalogue
    other: str | None

    @property
    def deltas(self) -> Path:
        """The folder with the deltas."""
        return self.home / self.config.deltas_folder

    def check_rows(self, catalogue: Catalogue, first: int) -> None:
        """Check that the text models find their texts in all rows from the first one on.

        Raises:
            SignatureError: an item has no such text.
        """
        for model in self.config.models.values():
            pair = Artifact.read(settled(self.home / model.artifact)).signature.pair
            if pair is not None:
                list(item_texts(catalogue, pair.text, range(first, len(catalogue))))


def open_served(config_path: Path) -> Served:
    """Open the catalogue that a pipeline serves.

    Raises:
        ConfigError, ModelError, ReleaseError: the pipeline, its release or its catalogue cannot be read.
    """
    config, home = load_config(config_path), home_directory()
    releases = ReleaseFolder(home, config.name, config.trust)
    name = releases.history.active()
    place, definitions_path = config.catalogue, config.features.definitions
    if name is not None:
        release = releases.read(name)
        place, definitions_path = release.catalogue, release.features.definitions
    definitions = load_definitions(home / definitions_path)
    catalogue = Catalogue.open(settled(home / place))
    refuse_other_features(catalogue, definitions)
    other = None if name is None else _other_version(home / config.catalogue, catalogue)
    return Served(config, home, name, definitions, catalogue, other)


def _other_version(folder: Path, served: Catalogue) -> str | None:
    try:
        configured = Catalogue.open(settled(folder))
    except ModelError:
        return "unreadable"
    return None if configured.identity == served.identity else configured.manifest.version
