"""The step low_rank: smaller layers, rebuilt from the artifact, on every architecture."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from models.architectures.resizing import LowRank
from models.compress.steps.base import Model, Outcome
from models.compress.steps.factorization import STEP
from models.compress.steps.factorization.options import LowRankOptions
from models.compress.steps.modules import linears_of, loaded, parameters_of
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from tests.models.compress.works import (
    RandomData,
    assert_serves,
    child_of,
    make_work,
)
from tests.models.runtimes.shapes import ARCHITECTURES

Parents = Callable[[str], Model]


def low_rank(parent: Model, root: Path, catalogue: Catalogue, **options: Any) -> tuple[Model, Outcome]:
    work = make_work(parent, root.with_name(f"{root.name}.scratch"), RandomData(catalogue))
    outcome = STEP.run(LowRankOptions.model_validate({"tune": None, **options}), parent, root, work)
    return child_of(root), outcome


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("weighted", [False, True])
def test_layers_become_products(
    name: str, weighted: bool, tmp_path: Path, catalogue: Catalogue, parents: Parents
) -> None:
    parent = parents(name)
    child, outcome = low_rank(parent, tmp_path / "child", catalogue, energy=0.5, weighted=weighted)
    module = loaded(child, "test")
    products = {name for name, layer in linears_of(module).items() if isinstance(layer, LowRank)}
    assert products == set(outcome.facts["ranks"])
    assert products
    assert outcome.facts["parameters"] == parameters_of(module) < parameters_of(loaded(parent, "test"))
    assert {row["layer"] for row in outcome.tables["Ranks"]} >= products
    assert_serves(child)


def test_a_budget_is_shared_by_all_layers(tmp_path: Path, catalogue: Catalogue, parents: Parents) -> None:
    parent = parents("history_ranker")
    child, outcome = low_rank(parent, tmp_path / "child", catalogue, parameters=0.5)
    rows = outcome.tables["Ranks"]
    after = sum(row["parameters_after"] for row in rows)
    assert after <= 0.5 * sum(row["parameters_before"] for row in rows)
    assert_serves(child)


def test_energy_that_makes_no_layer_smaller_is_refused(
    tmp_path: Path, catalogue: Catalogue, parents: Parents
) -> None:
    message = r"low_rank.energy: must make at least one layer smaller, got 1; lower it"
    with pytest.raises(TrainingError, match=message):
        low_rank(parents("history_ranker"), tmp_path / "child", catalogue, weighted=False, energy=1.0)
    assert not (tmp_path / "child").exists()


def test_a_factorised_model_is_factorised_again_only_to_lower_ranks(
    tmp_path: Path, catalogue: Catalogue, parents: Parents
) -> None:
    parent = parents("history_ranker")
    child, first = low_rank(parent, tmp_path / "child", catalogue, energy=0.8, weighted=False)
    with pytest.raises(TrainingError, match="must make at least one layer smaller"):
        low_rank(child, tmp_path / "same", catalogue, energy=1.0, weighted=False)
    _, third = low_rank(child, tmp_path / "lower", catalogue, energy=0.5, weighted=False)
    ranks = first.facts["ranks"]
    assert all(rank < ranks[name] for name, rank in third.facts["ranks"].items() if name in ranks)


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(
        ValidationError, match=r"lists: no lists are read with weighted: false, got 7; remove"
    ):
        LowRankOptions(weighted=False, lists=7)
    with pytest.raises(
        ValidationError, match=r"energy: must not be set together with parameters, got 0.9 and"
    ):
        LowRankOptions(energy=0.9, parameters=0.5)


@pytest.mark.parametrize("options", [{"energy": 0}, {"energy": 1.1}, {"parameters": 0}, {"parameters": 1}])
def test_options_outside_their_bounds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LowRankOptions.model_validate(options)


def test_a_budget_without_room_is_refused_and_nothing_is_written(
    tmp_path: Path, catalogue: Catalogue, parents: Parents
) -> None:
    parent = parents("history_ranker")
    with pytest.raises(TrainingError, match=r"low_rank.parameters: must leave room"):
        low_rank(parent, tmp_path / "child", catalogue, parameters=0.01)
    assert not (tmp_path / "child").exists()
