"""Scores of lists on disk, so that a resumed recipe does not compute them again."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np

from models.compress.data.runtime_scores import runtime_of, scores_alone
from models.compress.machine import machine_key
from models.compress.quality import Scores
from models.compress.steps.base import Model
from models.compress.steps.uses import SCORES, TEXT
from models.durable import replacing
from models.training.lineage import hash_of


class ScoreCache:
    """Scores by the model's version, its runtime, the data and the lists."""

    def __init__(self, folder: Path, data_key: str) -> None:
        """Set the folder, and a hash of the data from which the lists are made."""
        self._folder = folder
        self._data_key = data_key
        self._code = (SCORES | TEXT).identity()["code"]
        self._machine = machine_key()  # int8 gives other scores on a processor without VNNI

    def scores(self, model: Model, lists: str, count: int, compute: Callable[[], Scores]) -> Scores:
        """Return the stored scores, or compute and store them.

        Args:
            model: the model.
            lists: the name of the lists.
            count: the number of scores. Others are ignored.
            compute: computes the scores.

        Raises:
            OSError: the scores cannot be written.
        """
        runtime = runtime_of(model.artifact).kind
        parts = {"version": model.artifact.version, "runtime": runtime, "alone": scores_alone(model)}
        of_lists = {"data": self._data_key, "lists": lists}
        key = hash_of({**parts, **of_lists, "machine": self._machine, "code": self._code})
        path = self._folder / f"{key}.npy"
        try:
            stored: Scores = np.load(path, allow_pickle=False)
            if stored.shape == (count,) and stored.dtype == np.float32:
                return stored
        except (OSError, ValueError, EOFError):
            pass  # not stored yet, or damaged by a disk failure: the scores are computed again
        scores = compute()
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(_npy_of(scores))
        return scores


def _npy_of(scores: Scores) -> memoryview:
    """Return the content of a file with scores. If numpy writes it, the number of a full disk's error is lost."""
    content = BytesIO()
    np.save(content, scores, allow_pickle=False)
    return content.getbuffer()
