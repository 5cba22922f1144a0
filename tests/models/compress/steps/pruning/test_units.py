"""Units: removing a unit equals setting its outputs to zero, also if layers are factorised."""

import copy

import pytest
import torch
from torch import nn

from models.architectures.base import Architecture
from models.architectures.resizing import LowRank, parts_of
from models.compress.steps.modules import linears_of, rebuilt
from models.compress.steps.pruning.units import UnitKind, Units, keep, units_of
from tests.models.compress.works import scores_of
from tests.models.runtimes.shapes import ARCHITECTURES
from tests.models.text.crossencoders import bert

WITH_HEADS = ("history_ranker", "listwise", "hf_sequence_classification")


def silenced(module: Architecture, units: Units, removed: list[int]) -> Architecture:
    """Return a copy of the module in which nothing reads the removed units."""
    changed = copy.deepcopy(module)
    for name in units.read_by:
        weight = parts_of(changed.get_submodule(name))[0].weight
        with torch.no_grad():
            for unit in removed:
                weight[:, unit * units.block : (unit + 1) * units.block] = 0.0
    return changed


def factorised(module: Architecture) -> Architecture:
    """Return a copy of the module whose linear layers are all products of two random matrices."""
    changed = copy.deepcopy(module)
    torch.manual_seed(4)
    for name, linear in linears_of(module).items():
        assert isinstance(linear, nn.Linear)
        parent, _, child = name.rpartition(".")
        product = LowRank(linear.in_features, linear.out_features, 3, bias=linear.bias is not None)
        setattr(changed.get_submodule(parent), child, product)
    return changed.eval()


@pytest.mark.parametrize("kind", ["heads", "hidden"])
@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("is_factorised", [False, True])
def test_a_removed_unit_has_the_effect_of_a_silent_one(
    name: str, kind: UnitKind, is_factorised: bool
) -> None:
    module = ARCHITECTURES[name]()
    module = factorised(module) if is_factorised else module
    groups = units_of(module, kind)
    assert bool(groups) == (kind == "hidden" or name in WITH_HEADS)
    for units in groups:
        expected = scores_of(silenced(module, units, [0]))
        smaller = copy.deepcopy(module)
        keep(smaller, units, torch.arange(1, units.count(module)))
        assert units.count(smaller) == units.count(module) - 1
        torch.testing.assert_close(scores_of(smaller), expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(scores_of(rebuilt(smaller)), expected, atol=1e-4, rtol=1e-4)


def test_roberta_and_electra_have_the_heads_of_bert() -> None:
    for kind, layers in {"bert": 5, "roberta": 5, "electra": 5}.items():
        assert [units.block for units in units_of(bert(kind), "heads")] == [8] * layers


def test_other_text_models_have_no_known_units() -> None:
    config = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    assert units_of(bert("distilbert", **config), "heads") == []
