"""The folder for a pipeline's live item features, and a mark that they were set once.

Without this folder, a replica would give every item its defaults and show a closed street as open. Therefore
``rankway features set`` leaves a mark in the pipeline's folder after it has written the features. A replica that finds
features leaves the mark, too. This covers a command that was killed between the two steps, and features that another
program wrote. While the mark exists and the folder does not, nothing is served or set.
"""

import logging
from pathlib import Path

from models.atomic_directory import settled
from models.durable import write_file
from models.features.definition import FeatureSet
from models.features.live import INDEX
from services.errors import ConfigError

_MARK = "live-items-were-set.txt"
logger = logging.getLogger("ray.serve")


class LiveFolder:
    """The folder for a pipeline's live item features, which may not exist yet, and its mark."""

    def __init__(self, home: Path, pipeline: str, folder: str | None) -> None:
        """Read and write nothing yet.

        Args:
            home: the data home.
            pipeline: the pipeline's name.
            folder: ``features.live`` in the configuration, relative to the home.
        """
        self.pipeline = pipeline
        self.mark = home / pipeline / _MARK
        """The file that names the last folder with the features."""
        self._home, self._folder = home, folder

    @property
    def path(self) -> Path | None:
        """The folder. None if the configuration names none."""
        return None if self._folder is None else self._home / self._folder

    def refuse_lost(self, definitions: FeatureSet) -> None:
        """Refuse a pipeline whose live item features were set once and are missing now.

        Raises:
            ConfigError: the features are missing.
        """
        if not definitions.supplied("live") or not self.mark.is_file() or self._has_features():
            return
        got = "no folder in the configuration" if self.path is None else f"none at {self.path}"
        raise ConfigError(
            f"live item features were set before in {self._home / self._marked_folder()}, but are missing, got {got}; "
            f"restore that folder, or name it in features.live. If the features are lost or no longer wanted, remove "
            f"{self.mark}. Every item then has the default values until new values are set",
            field="features.live",
        )

    def leave_mark(self) -> None:
        """Leave the mark if the pipeline has live item features now. A read-only home stays unchanged."""
        if not self._has_features() or self._marked_folder() == self._folder:
            return
        try:
            self.mark.parent.mkdir(parents=True, exist_ok=True)
            write_file(self.mark, f"{self._folder}\n")
        except OSError as error:
            logger.warning(
                "%s: cannot be written (%s); if the folder %s is lost, this pipeline will start without live item "
                "features",
                self.mark,
                error,
                self._folder,
            )

    def _has_features(self) -> bool:
        return self.path is not None and (settled(self.path) / INDEX).is_file()

    def _marked_folder(self) -> str:
        """Return the folder that the mark names. Empty if there is no mark."""
        try:
            return self.mark.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""
