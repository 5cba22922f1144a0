"""Training updates only the rows that a step reads, and learns from the teacher."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from benchmarks.clicks.teacher import Teacher
from benchmarks.clicks.training import Fit, Table, fit, scores_of
from models.architectures.dlrm import Dlrm
from models.architectures.options import DlrmOptions
from models.errors import TrainingError

SMALL = DlrmOptions(dense=3, fields=4, rows=40, width=8, bottom=(16,), top=(16,))
FIT = Fit(batch=500, learning_rate=0.01)


def model_and_teacher() -> tuple[Dlrm, Teacher]:
    torch.manual_seed(0)
    return Dlrm(SMALL), Teacher(SMALL)


def test_learns_from_generated_clicks() -> None:
    model, teacher = model_and_teacher()
    held_out = teacher.draw(2000, first=40_000)
    before = roc_auc_score(held_out.labels, scores_of(model, held_out))
    fit(model, teacher.chunks(40_000), 40_000, FIT, seed=1)
    after = roc_auc_score(held_out.labels, scores_of(model, held_out))
    best = roc_auc_score(held_out.labels, held_out.chances)
    assert abs(before - 0.5) < 0.2
    assert best - 0.06 < after < best + 0.01
    assert not model.training


def test_rows_that_no_click_has_keep_their_weights() -> None:
    model, teacher = model_and_teacher()
    before = model.table.detach().clone()
    fit(model, teacher.chunks(20), 20, FIT, seed=1)
    rows = teacher.draw(20).sparse + model.first_row.numpy()
    changed = (model.table.detach() != before).any(dim=1).numpy()
    assert set(np.flatnonzero(changed)) <= set(np.unique(rows))
    assert changed.any()


def test_the_same_seed_trains_the_same_weights() -> None:
    tables = []
    for _ in range(2):
        model, teacher = model_and_teacher()
        fit(model, teacher.chunks(1000), 1000, FIT, seed=1)
        tables.append(model.table.detach())
    assert torch.equal(*tables)


def test_a_frequent_row_takes_smaller_steps() -> None:
    table, used = Table(torch.zeros(3, 2), rate=0.1), torch.tensor([1])
    steps = []
    for _ in range(3):
        copied = table.rows(used)
        before = copied.detach().clone()
        copied.sum().backward()  # type: ignore[no-untyped-call]
        table.update(used, copied, factor=1.0)
        steps.append(float((before - table.rows(used)).detach()[0, 0]))
    assert steps == pytest.approx([0.1, 0.1 / 2**0.5, 0.1 / 3**0.5])
    assert table.rows(torch.tensor([0, 2])).detach().abs().max() == 0


def test_a_loss_that_is_not_finite_names_the_remedy() -> None:
    model, teacher = model_and_teacher()
    with torch.no_grad():
        next(reversed(list(model.top.parameters()))).fill_(float("nan"))
    with pytest.raises(TrainingError, match="lower learning_rate"):
        fit(model, teacher.chunks(100), 100, FIT, seed=1)
