"""The rankers: the inputs on which a score depends, and the features that the rankers read."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.architectures.options import Distance
from models.architectures.pooled_ranker import PooledRanker
from models.architectures.ranker import Ranker
from models.assembly import InputAssembler
from models.features.catalogue import Catalogue
from models.ragged import RaggedArray, RaggedBatch
from tests.models.worlds import (
    FEATURES,
    POOLED,
    make_batch,
    make_catalogue,
    make_hyper,
    make_pooled,
    make_ranker,
)

TOLERANCE = 1e-5
SHAPES = st.lists(st.tuples(st.integers(1, 120), st.integers(0, 8)), min_size=1, max_size=5)


class Scorer:
    """A ranker with its input assembler. A call returns a ragged batch's scores (N,)."""

    def __init__(self, model: Ranker, catalogue: Catalogue) -> None:
        self.model = model
        self.assembler = InputAssembler(self.model.signature(FEATURES.content_hash), catalogue)

    def __call__(self, batch: RaggedBatch) -> NDArray[np.float32]:
        inputs = {name: torch.from_numpy(values) for name, values in self.assembler(batch).items()}
        with torch.inference_mode():
            scores = self.model(inputs).numpy()
        return np.asarray(self.assembler.flatten({"score": scores}, batch)["score"])


@pytest.fixture(
    scope="module", params=[make_ranker, make_pooled, make_hyper], ids=["history", "pooled", "hyper"]
)
def scorer(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Scorer:
    return Scorer(request.param(), make_catalogue(tmp_path_factory.mktemp("world") / "catalogue"))


@given(SHAPES, st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_scores_do_not_depend_on_other_requests_in_the_batch(
    scorer: Scorer, shapes: list[tuple[int, int]], seed: int
) -> None:
    batch = make_batch([length for length, _ in shapes], [past for _, past in shapes], seed)
    together = scorer(batch)
    for request in range(len(batch)):
        alone = scorer(batch.take(np.array([request])))
        np.testing.assert_allclose(
            together[batch.offsets[request] : batch.offsets[request + 1]], alone, atol=TOLERANCE
        )


@given(st.integers(2, 20), st.integers(0, 8), st.data())
@settings(max_examples=40, deadline=None)
def test_scores_do_not_depend_on_other_candidates(
    scorer: Scorer, count: int, past: int, data: st.DataObject
) -> None:
    batch = make_batch([count], [past], seed=count)
    kept = np.array(sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1))))
    fewer = batch.keep(kept, np.array([0, len(kept)]))
    np.testing.assert_allclose(scorer(batch)[kept], scorer(fewer), atol=TOLERANCE)


def test_scores_are_finite_with_an_empty_history(scorer: Scorer) -> None:
    assert np.isfinite(scorer(make_batch([3, 2], [0, 0]))).all()
    assert np.isfinite(scorer(make_batch([3, 2], [0, 5]))).all()


def test_scores_depend_on_every_entry_of_the_history(scorer: Scorer) -> None:
    batch = make_batch([6], [5])
    before = scorer(batch)
    for name in ("user.history_rating", "user.history_age_days"):
        column = batch.requests[name]
        assert isinstance(column, RaggedArray)
        for at in range(5):
            values = column.values.copy()
            values[at] += 1.0
            changed = batch.adding(requests={name: RaggedArray(values, column.offsets)})
            assert np.abs(scorer(changed) - before).max() > TOLERANCE, (name, at)


def test_context_and_profile_affect_every_candidate(scorer: Scorer) -> None:
    batch = make_batch([6], [3])
    before = scorer(batch)
    for name in ("user.profile", "context.hour", "context.rain_mm", "context.position"):
        column = batch.requests[name]
        assert isinstance(column, np.ndarray)
        changed = batch.adding(requests={name: (column + np.float32(0.3)).astype(np.float32)})
        assert (np.abs(scorer(changed) - before) > 0).all(), name


def test_extreme_context_values_keep_scores_finite(scorer: Scorer) -> None:
    batch = make_batch([4], [2])
    extreme = {
        "context.hour": np.array([1e9], dtype=np.float32),
        "context.rain_mm": np.array([-1e9], dtype=np.float32),
    }
    far = {"context.position": np.array([[-90.0, 180.0]], dtype=np.float32)}
    assert np.isfinite(scorer(batch.adding(requests={**extreme, **far}))).all()


def test_reads_configured_request_cell_and_distance_features() -> None:
    further = {
        "request": {"global.snow_cm": ()},
        "cells": {"news": (3,)},
        "distances": (*POOLED.distances, Distance(origin="realtime.came_from", place="start")),
    }
    model = PooledRanker(POOLED.model_copy(update=further))
    specs = {spec.name: (spec.source, spec.shape) for spec in model.signature("").inputs}
    assert specs["global_snow_cm"] == ("global.snow_cm", ())
    assert specs["cell_news"] == ("cell.news", (3,))
    assert model.request_width == PooledRanker(POOLED).request_width + 1
    assert specs["from_realtime_came_from"] == ("realtime.came_from", (2,))
    assert model.candidate_width == PooledRanker(POOLED).candidate_width + 3 + 2
