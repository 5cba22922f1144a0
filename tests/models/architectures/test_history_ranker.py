"""The history ranker: what a score may depend on."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.architectures.layers import layers_of
from models.assembly import InputAssembler
from models.features.catalogue import Catalogue
from models.ragged import RaggedArray, RaggedBatch
from tests.models.worlds import FEATURES, RANKER, make_batch, make_catalogue, make_ranker

TOLERANCE = 1e-5
SHAPES = st.lists(st.tuples(st.integers(1, 120), st.integers(0, 8)), min_size=1, max_size=5)


class Scorer:
    """A ranker with the assembly of its inputs: scores (N,) of ragged batches."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.model = make_ranker()
        self.assembler = InputAssembler(self.model.signature(FEATURES.content_hash), catalogue)

    def __call__(self, batch: RaggedBatch) -> NDArray[np.float32]:
        inputs = {name: torch.from_numpy(values) for name, values in self.assembler(batch).items()}
        with torch.inference_mode():
            scores = self.model(inputs).numpy()
        return np.asarray(self.assembler.flatten({"score": scores}, batch)["score"])


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return Scorer(make_catalogue(tmp_path_factory.mktemp("world") / "catalogue"))


@given(SHAPES, st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_the_company_of_other_requests_does_not_change_a_score(
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
def test_the_other_candidates_do_not_change_a_score(
    scorer: Scorer, count: int, past: int, data: st.DataObject
) -> None:
    batch = make_batch([count], [past], seed=count)
    kept = np.array(sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1))))
    fewer = batch.keep(kept, np.array([0, len(kept)]))
    np.testing.assert_allclose(scorer(batch)[kept], scorer(fewer), atol=TOLERANCE)


def test_an_empty_history_has_a_finite_score(scorer: Scorer) -> None:
    assert np.isfinite(scorer(make_batch([3, 2], [0, 0]))).all()
    assert np.isfinite(scorer(make_batch([3, 2], [0, 5]))).all()


def test_every_part_of_the_history_counts(scorer: Scorer) -> None:
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


def test_a_context_or_profile_change_reaches_every_candidate(scorer: Scorer) -> None:
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


def test_the_history_is_encoded_causally(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {n: torch.from_numpy(v) for n, v in scorer.assembler(make_batch([1], [6])).items()}
    _, second_layer = layers_of(scorer.model.layers)
    project = second_layer.project
    seen: list[torch.Tensor] = []

    def spy(x: torch.Tensor, batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        seen.append(x.clone())
        return project(x, batch)

    monkeypatch.setattr(second_layer, "project", spy)
    with torch.inference_mode():
        scorer.model(inputs)
        inputs["history_rating"][0, 4] += 1.0
        scorer.model(inputs)
    before, after = (x for x in seen if len(x) == 7)  # the beginning and six ratings
    moved = (before - after).abs().amax(dim=1) > TOLERANCE
    assert moved.tolist() == [False] * 5 + [True] * 2  # what came before rating 4 does not see it


def test_the_options_rebuild_the_same_shapes() -> None:
    model = make_ranker()
    assert model.options == RANKER
    names = {name.rpartition(".")[0].rpartition(".")[2] for name in model.state_dict() if "proj" in name}
    assert {"q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj"} <= names
