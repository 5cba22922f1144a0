"""Stored scores: they are found again, and a full disk is told from other errors."""

import errno
from pathlib import Path

import numpy as np
import pytest

from models.compress.data.score_cache import ScoreCache
from models.compress.quality import Scores
from tests.models.compress.full_disk import files_up_to
from tests.models.compress.homes import model_in

SCORES = np.linspace(0, 1, 1 << 16, dtype=np.float32)


def test_stored_scores_are_not_computed_again(home: Path) -> None:
    cache, model = ScoreCache(home / "scores", "data"), model_in(home)
    cache.scores(model, "report", SCORES.size, lambda: SCORES)

    def computed() -> Scores:
        raise AssertionError("computed again")

    assert (cache.scores(model, "report", SCORES.size, computed) == SCORES).all()


def test_error_of_a_full_disk_keeps_its_number(home: Path) -> None:
    cache, model = ScoreCache(home / "scores", "data"), model_in(home)
    with files_up_to(1 << 16), pytest.raises(OSError, match="File too large") as raised:
        cache.scores(model, "report", SCORES.size, lambda: SCORES)
    assert raised.value.errno == errno.EFBIG
    assert not list((home / "scores").iterdir())
