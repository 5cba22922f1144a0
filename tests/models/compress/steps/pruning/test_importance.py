"""Importance: units without effect have none, and the first-order estimate follows the real change of the loss."""

import copy

import numpy as np
import pytest
import torch

from models.architectures.resizing import parts_of
from models.compress.steps.losses import label_loss, steps_of
from models.compress.steps.pruning.importance import by_loss, by_magnitude
from models.compress.steps.pruning.units import units_of
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from tests.models.compress.works import RandomData
from tests.models.worlds import make_ranker

LOSS = label_loss("softmax")


def test_a_silent_unit_has_no_importance_for_the_loss(catalogue: Catalogue) -> None:
    module = make_ranker()
    groups = units_of(module, "hidden")
    reader = parts_of(module.get_submodule(groups[0].read_by[0]))[0]
    with torch.no_grad():
        reader.weight[:, 5] = 0.0
    before = copy.deepcopy(module.state_dict())
    first, second = by_loss(module, groups, RandomData(catalogue).lists("train", module.signature("")), LOSS)
    assert first[5] == 0.0
    assert first.max() > 0
    assert second.max() > 0
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_the_estimate_is_the_slope_of_the_loss_along_the_gate(catalogue: Catalogue) -> None:
    module = make_ranker()
    units = units_of(module, "heads")[1]
    lists = RandomData(catalogue).lists("train", module.signature(""), 1)
    found = by_loss(module, [units], lists, LOSS)[0].sqrt().numpy()
    (step,) = steps_of(lists)

    def loss_with(head: int, gate: float) -> float:
        changed = copy.deepcopy(module)
        weight = parts_of(changed.get_submodule(units.read_by[0]))[0].weight
        with torch.no_grad():
            weight[:, head * units.block : (head + 1) * units.block] *= gate
            return float(LOSS(changed(step.inputs), step))

    slopes = [abs(loss_with(head, 1.01) - loss_with(head, 0.99)) / 0.02 for head in range(len(found))]
    np.testing.assert_allclose(found, slopes, rtol=0.05, atol=1e-3)


def test_magnitude_adds_rows_and_columns() -> None:
    module = make_ranker()
    units = units_of(module, "heads")[0]
    (norms,) = by_magnitude(module, [units])
    layers = [module.get_submodule(name) for name in (*units.made_by, *units.read_by)]
    total = sum(float(parts_of(layer)[0].weight.detach().square().sum()) for layer in layers)
    assert len(norms) == 2
    np.testing.assert_allclose(float(norms.sum()), total, rtol=1e-5)


def test_without_lists_there_is_no_importance(catalogue: Catalogue) -> None:
    module = make_ranker()
    lists = RandomData(catalogue).lists("train", module.signature("")).subset(np.zeros(0, dtype=np.int64))
    with pytest.raises(
        TrainingError, match=r"prune.importance: taylor needs lists with a finite loss, got 0"
    ):
        by_loss(module, units_of(module, "heads"), lists, LOSS)
