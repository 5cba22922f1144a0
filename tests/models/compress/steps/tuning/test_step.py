"""The step tune: it learns from labels or from the original, and a killed tuning continues where it was."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.assembly import InputAssembler
from models.compress.data.pipeline import PipelineData
from models.compress.steps.base import Model, Outcome, Split, Work
from models.compress.steps.modules import loaded
from models.compress.steps.tuning import STEP
from models.compress.steps.tuning.options import TuneOptions
from models.features.catalogue import Catalogue
from models.impressions import read_impressions
from models.signature import Signature
from models.training.examples.lists import Lists
from models.training.export import SAFETENSORS
from models.training.scoring import score_ndcg
from tests.models.compress.homes import data_in, model_in, write_small
from tests.models.compress.works import RandomData, assert_serves, child_of, make_parent, make_work
from tests.models.runtimes.shapes import ARCHITECTURES
from tests.models.worlds import FEATURES, make_impressions, make_reranker

SHORT = {"max_lists": 64, "lists_per_step": 16, "checkpoint_every_s": 0.0}
REPEATED = {"max_lists": None, "lists_per_step": 8, "epochs": 6, "learning_rate": 0.01}
HASH = FEATURES.content_hash


class LearnableData(RandomData):
    """Lists in which the item that fits the user's profile best has the label 1."""

    def __init__(self, catalogue: Catalogue, root: Path) -> None:
        super().__init__(catalogue)
        self._read = {}
        splits: tuple[tuple[Split, int], ...] = (("train", 400), ("select", 100), ("report", 100))
        for seed, (split, count) in enumerate(splits):
            make_impressions(root / split, catalogue, count, seed)
            keys = catalogue.rows_of_keys
            self._read[split] = read_impressions(root / split, feature_hash=HASH, keys_to_rows=keys)

    def lists(self, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        batch, labels = self._read[split]
        return Lists(batch, labels, InputAssembler(signature, self.catalogue, whole_lists=True))


class OrderOf:
    """The lists of a pipeline. The labels of the selection lists have a model's order."""

    def __init__(self, data: PipelineData, model: Model) -> None:
        self._data, self._model, self.catalogue = data, model, data.catalogue

    def lists(self, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        lists = self._data.lists(split, signature, limit)
        if split == "train":
            return lists
        scores = self._data.taught(self._model, split, signature, limit).teacher
        return replace(lists, labels=np.exp(scores))

    def taught(self, teacher: Model, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        return self._data.taught(teacher, split, signature, limit)


def tune(parent: Model, root: Path, work: Work, **options: Any) -> tuple[Model, Outcome]:
    outcome = STEP.run(TuneOptions.model_validate({**SHORT, **options}), parent, root, work)
    return child_of(root), outcome


def test_tuning_improves_the_order(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = make_parent(tmp_path / "parent", ARCHITECTURES["history_ranker"](), HASH)
    data = LearnableData(catalogue, tmp_path)
    work = make_work(parent, tmp_path / "scratch", data)
    child, outcome = tune(parent, tmp_path / "child", work, max_lists=None, epochs=3, learning_rate=0.01)
    before, after = (
        score_ndcg(loaded(model, "test"), data.lists("report", model.artifact.signature))
        for model in (parent, child)
    )
    assert after > before + 0.05
    assert outcome.facts["tuning"]["lists"] == 400
    assert_serves(child)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_any_architecture_learns_from_the_original(name: str, tmp_path: Path, catalogue: Catalogue) -> None:
    parent = make_parent(tmp_path / "parent", ARCHITECTURES[name]())
    work = make_work(parent, tmp_path / "scratch", RandomData(catalogue))
    _, outcome = tune(parent, tmp_path / "child", work, learn_from="original")
    assert outcome.facts["tuning"]["steps"] == 4


def test_a_reranker_learns_the_scores_of_the_original_reranker(home: Path, tmp_path: Path) -> None:
    data, original = data_in(home), model_in(home, "reranker")
    parent = Model(tmp_path / "parent", write_small(tmp_path / "parent", make_reranker(3), data.catalogue))
    work = make_work(original, tmp_path / "scratch", OrderOf(data, original))
    child, _ = tune(parent, tmp_path / "child", work, **REPEATED, learn_from="original", label_weight=0)
    before, after, wanted = (data.scores(model) for model in (parent, child, original))
    assert np.corrcoef(after, wanted)[0, 1] > np.corrcoef(before, wanted)[0, 1] + 0.1


def test_a_killed_tuning_continues_from_its_checkpoint(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = make_parent(tmp_path / "parent", ARCHITECTURES["history_ranker"]())
    work = make_work(parent, tmp_path / "scratch", RandomData(catalogue))
    whole, _ = tune(parent, tmp_path / "whole", replace(work, scratch=tmp_path / "other"))
    seen: list[int] = []

    def killed(what: str, done: int, total: int, note: str = "") -> None:
        seen.append(done)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(parent, tmp_path / "child", replace(work, progress=killed))
    assert not (tmp_path / "child").exists()
    child, _ = tune(parent, tmp_path / "child", replace(work, progress=killed))
    assert seen == [1, 2, 3, 3, 4]  # the third step was not saved
    one, other = (load_file(model.root / SAFETENSORS) for model in (whole, child))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 2}, "temperature: learn_from: labels does not read it, got 2.0; remove it, or set"),
        ({"label_weight": 0.5}, "label_weight: learn_from: labels does not read it, got 0.5"),
        ({"loss": "bce", "learn_from": "original"}, "loss: learn_from: original does not read it, got bce"),
    ],
)
def test_options_that_would_be_ignored_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TuneOptions.model_validate(options)
