"""The training loop: it learns, is reproducible, never makes a model worse, and reports unusable data."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from models.architectures.history_ranker import HistoryRanker
from models.assembly import InputAssembler
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.impressions import read_impressions
from models.training.examples.lists import Lists
from models.training.fit_config import FitConfig
from models.training.loop import Fitted, fit
from models.training.losses import list_loss
from models.training.scoring import score_ndcg
from tests.models.worlds import FEATURES, RANKER, make_impressions

FIT = FitConfig(epochs=4, lists_per_step=32, learning_rate=0.01)


class RecordedProgress:
    """Records the reported progress."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int]] = []

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        self.steps.append((what, done, total))


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> tuple[Lists, Lists]:
    assembler = InputAssembler(
        HistoryRanker(RANKER).signature(FEATURES.content_hash), catalogue, whole_lists=True
    )
    results = []
    for seed, (name, count) in enumerate({"train": 600, "valid": 150}.items()):
        root: Path = tmp_path_factory.mktemp("data") / name
        make_impressions(root, catalogue, count, seed)
        batch, labels = read_impressions(
            root, feature_hash=FEATURES.content_hash, keys_to_rows=catalogue.rows_of_keys
        )
        results.append(Lists(batch, labels, assembler))
    return results[0], results[1]


def run(
    module: HistoryRanker, train: Lists, valid: Lists, config: FitConfig, recorded: RecordedProgress
) -> Fitted:
    return fit(
        module,
        train,
        valid,
        config,
        loss_of=partial(list_loss, loss=config.loss),
        seed=1,
        what="ranker",
        progress=recorded,
        accelerator=Accelerator(),
    )


def fitted(
    splits: tuple[Lists, Lists], config: FitConfig = FIT
) -> tuple[HistoryRanker, Fitted, RecordedProgress]:
    torch.manual_seed(0)
    module, recorded = HistoryRanker(RANKER), RecordedProgress()
    return module, run(module, *splits, config, recorded), recorded


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_training_beats_the_untrained_model(splits: tuple[Lists, Lists], loss: str) -> None:
    module, reached, _ = fitted(splits, FIT.model_copy(update={"loss": loss}))
    valid = splits[1]
    torch.manual_seed(0)
    untrained = score_ndcg(HistoryRanker(RANKER), valid)
    assert reached.selection_ndcg > untrained + 0.15
    assert reached.selection_ndcg == pytest.approx(score_ndcg(module, valid))


def test_the_same_seed_gives_the_same_weights(splits: tuple[Lists, Lists]) -> None:
    config = FIT.model_copy(update={"epochs": 1})
    first, second = fitted(splits, config)[0].state_dict(), fitted(splits, config)[0].state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_reports_progress_after_every_step(splits: tuple[Lists, Lists]) -> None:
    _, reached, recorded = fitted(splits, FIT.model_copy(update={"epochs": 1}))
    assert recorded.steps == [("ranker", at, 19) for at in range(1, 20)]
    assert reached.steps == 19


def test_training_that_only_gets_worse_stops_early_and_keeps_its_weights(splits: tuple[Lists, Lists]) -> None:
    module = fitted(splits)[0]
    before = score_ndcg(module, splits[1])
    train, valid = splits
    wrong = Lists(train.batch, (1 - train.labels).astype(np.float32), train.assembler)
    config = FIT.model_copy(update={"patience": 1, "epochs": 10})
    reached = run(module, wrong, valid, config, RecordedProgress())
    assert reached.steps == 19
    assert score_ndcg(module, valid) == pytest.approx(before)


def test_rejects_a_loss_that_is_not_finite(splits: tuple[Lists, Lists]) -> None:
    train, valid = splits
    labels = train.labels.copy()
    labels[:] = np.nan
    with pytest.raises(
        TrainingError,
        match=r"ranker: the loss must be finite, got nan at step 1 of 76; lower fit.learning_rate",
    ):
        run(
            HistoryRanker(RANKER), Lists(train.batch, labels, train.assembler), valid, FIT, RecordedProgress()
        )


def test_rejects_empty_training_lists(splits: tuple[Lists, Lists]) -> None:
    train, valid = splits
    with pytest.raises(TrainingError, match="got 0 lists with two or more known items"):
        fitted((train.subset(np.zeros(0, dtype=np.int64)), valid))


def test_rejects_selection_lists_without_positive_labels(splits: tuple[Lists, Lists]) -> None:
    train, valid = splits
    with pytest.raises(TrainingError, match="the first half of the validation data has no label above 0"):
        fitted((train, Lists(valid.batch, np.zeros_like(valid.labels), valid.assembler)))
