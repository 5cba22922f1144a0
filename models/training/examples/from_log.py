"""Builds a data set from a served log: the older lists for training, the latest lists for validation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from models.atomic_directory import written_whole
from models.errors import TrainingError
from models.features.definition import FeatureSet
from models.features.sent import SENT
from models.features.sent_table import SentTable
from models.impressions import write_impressions
from models.served_log.kinds import FeedbackConfig
from models.served_log.reading import read_log


def impressions_from_log(
    paths: Sequence[Path], root: Path, features: FeatureSet, feedback: FeedbackConfig, valid_share: float
) -> None:
    """Write the impressions ``train`` and ``valid`` into the folder ``root`` atomically.

    Args:
        paths: log files or folders.
        root: the folder to write.
        features: the feature definitions.
        feedback: the kinds of feedback, with the relevance of each.
        valid_share: share of lists for validation, the latest. Each split needs at least two lists.

    Raises:
        ArtifactError: the log cannot be read.
        FeatureMismatch: the log was written with other feature definitions.
        TrainingError: the log has too few lists.
    """
    shown, labels = read_log(paths, features, feedback)
    count = len(shown.batch)
    valid = max(2, round(count * valid_share))
    if count - valid < 2:
        raise TrainingError(
            f"the log: too few lists to train and validate, got {count}; serve more requests, or name more log files"
        )
    columns: dict[str, NDArray[Any]] = {"label": labels, "key": shown.keys}
    table = None
    if (sent := SentTable.of(shown.sent, shown.batch.offsets, shown.keys)) is not None:
        table, columns[SENT] = sent
    batch = shown.batch.adding(candidates=columns)
    with written_whole(root) as staging:
        for name, first, last in (("train", 0, count - valid), ("valid", count - valid, count)):
            part = batch.take(np.arange(first, last))
            part_columns = dict(part.candidates)
            part_labels, keys = part_columns.pop("label"), part_columns.pop("key")
            write_impressions(
                staging / name,
                replace(part, candidates=part_columns),
                part_labels,
                feature_hash=features.content_hash,
                keys=keys,
                sent=table,
            )
