"""The mark that live item features were set once: from then on their absence is a fault, not a beginning.

A replica that finds no folder of live item features would give every item its defaults, and show a closed street as
open. So ``rankway features set`` leaves a mark in the pipeline's folder, after it has written the features: a command
that is killed before has set nothing. A replica that finds the features leaves the mark too, for a command that was
killed after, and for features that another program wrote. From then on nothing is served, or set, without the folder,
until it is back or the operator removes the mark.
"""

import logging
from pathlib import Path

from models.atomic_directory import settled
from models.durable import write_file
from models.features.definition import FeatureSet
from models.features.live import INDEX
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError

_MARK = "live-items-were-set.txt"
logger = logging.getLogger("ray.serve")


def mark_of(config: PipelineConfig, home: Path) -> Path:
    """Return where the pipeline's mark is; it holds the folder that the features were last in."""
    return home / config.name / _MARK


def refuse_lost_features(config: PipelineConfig, home: Path, definitions: FeatureSet) -> None:
    """Refuse a pipeline whose live item features were set once and are missing.

    Raises:
        ConfigError: they are.
    """
    mark, folder = mark_of(config, home), config.features.live
    if not definitions.given("live") or not mark.is_file() or _are_at(folder, home):
        return
    found = "no folder in the configuration" if folder is None else f"none at {home / folder}"
    raise ConfigError(
        f"live item features were set before, in {home / _text_of(mark)}, and are missing, got {found}; put that "
        f"folder back, or name it. If they are lost, or no longer wanted, remove {mark}: then every item has its "
        f"defaults until it is set again",
        field="features.live",
    )


def note_features(config: PipelineConfig, home: Path) -> None:
    """Leave the mark if the pipeline has live item features now; a read-only home is left as it is."""
    folder, mark = config.features.live, mark_of(config, home)
    if folder is None or not _are_at(folder, home) or _text_of(mark) == folder:
        return
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        write_file(mark, f"{folder}\n")
    except OSError as error:
        logger.warning(
            "%s: cannot be written (%s); if %s is lost, this pipeline will start without it",
            mark,
            error,
            folder,
        )


def _are_at(folder: str | None, home: Path) -> bool:
    return folder is not None and (settled(home / folder) / INDEX).is_file()


def _text_of(mark: Path) -> str:
    try:
        return mark.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
