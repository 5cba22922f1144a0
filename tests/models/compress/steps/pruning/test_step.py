"""The step prune: it removes what it says, on every architecture, and refuses what does not fit the parent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from models.compress.steps.base import Model, Outcome
from models.compress.steps.modules import loaded, parameters_of
from models.compress.steps.pruning import STEP
from models.compress.steps.pruning.options import PruneOptions
from models.compress.steps.pruning.single_weights import share_of_zeros
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.training.export import SAFETENSORS
from tests.models.compress.works import (
    RandomData,
    assert_serves,
    child_of,
    make_parent,
    make_work,
)
from tests.models.runtimes.shapes import ARCHITECTURES
from tests.models.text.crossencoders import bert

SHORT = {"max_lists": 64, "lists_per_step": 16, "learning_rate": 0.01}
WITH_HEADS = ("history_ranker", "listwise", "hf_sequence_classification")
Parents = Callable[[str], Model]


def prune(parent: Model, root: Path, catalogue: Catalogue, **options: Any) -> tuple[Model, Outcome]:
    work = make_work(parent, root.with_name(f"{root.name}.scratch"), RandomData(catalogue))
    if options.get("heads") or options.get("hidden"):
        options = {"importance": "magnitude", **options}
    options = {"tune": None, **options}
    outcome = STEP.run(PruneOptions.model_validate(options), parent, root, work)
    return child_of(root), outcome


@pytest.mark.parametrize("name", WITH_HEADS)
@pytest.mark.parametrize("importance", ["magnitude", "taylor"])
def test_half_of_the_heads_are_removed(
    name: str, importance: str, tmp_path: Path, catalogue: Catalogue, parents: Parents
) -> None:
    parent = parents(name)
    child, outcome = prune(parent, tmp_path / "child", catalogue, heads=0.5, importance=importance)
    rows = outcome.tables["Pruned heads"]
    assert {(row["before"], row["after"]) for row in rows} == {(2, 1)}
    assert outcome.facts["parameters"] == parameters_of(loaded(child, "test"))
    assert outcome.facts["parameters"] < outcome.facts["parent_parameters"]
    assert_serves(child)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("importance", ["magnitude", "taylor"])
def test_half_of_the_hidden_units_are_removed(
    name: str, importance: str, tmp_path: Path, catalogue: Catalogue, parents: Parents
) -> None:
    parent = parents(name)
    child, outcome = prune(parent, tmp_path / "child", catalogue, hidden=0.5, importance=importance)
    assert outcome.facts["parameters"] < outcome.facts["parent_parameters"]
    assert all(row["after"] == row["before"] - row["before"] // 2 for row in outcome.tables["Pruned hidden"])
    assert_serves(child)


@pytest.mark.parametrize("name", ["history_ranker", "bert"])
def test_layers_are_removed_by_number_or_share(name: str, tmp_path: Path, catalogue: Catalogue) -> None:
    module = ARCHITECTURES[name]() if name in ARCHITECTURES else bert()
    parent = make_parent(tmp_path / "parent", module)
    child, outcome = prune(parent, tmp_path / "child", catalogue, layers=1)
    assert len(outcome.facts["removed_layers"]) == 1
    assert_serves(child)
    half, outcome = prune(parent, tmp_path / "half", catalogue, layers=0.5)
    total = {"history_ranker": 2, "bert": 5}[name]
    assert len(outcome.facts["removed_layers"]) == total // 2
    assert len(outcome.tables["Layers"]) == sum(range(total, total - total // 2, -1))
    assert_serves(half)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_weights_become_zeros_and_stay_zeros_in_tuning(
    name: str, scope: str, tmp_path: Path, catalogue: Catalogue, parents: Parents
) -> None:
    parent = parents(name)
    child, outcome = prune(parent, tmp_path / "child", catalogue, unstructured=0.75, scope=scope, tune=SHORT)
    assert share_of_zeros(loaded(child, "test")) == pytest.approx(0.75, abs=0.02)
    assert outcome.facts["tuning"]["steps"] == 4
    assert child.artifact.architecture == parent.artifact.architecture


def test_a_bare_step_removes_heads_or_else_hidden_units_and_tunes(
    tmp_path: Path, catalogue: Catalogue, parents: Parents
) -> None:
    for name, title in {"history_ranker": "Pruned heads", "pooled_ranker": "Pruned hidden"}.items():
        parent = parents(name)
        work = make_work(parent, tmp_path / f"{name}.scratch", RandomData(catalogue))
        outcome = STEP.run(PruneOptions(), parent, tmp_path / f"{name}.child", work)
        assert list(outcome.tables) == [title]
        assert outcome.facts["tuning"]["steps"] > 0


def test_lineage_lists_the_steps_and_names_original_and_parent(
    tmp_path: Path, catalogue: Catalogue, parents: Parents
) -> None:
    parent = parents("history_ranker")
    child, _ = prune(parent, tmp_path / "child", catalogue, heads=0.5)
    grandchild, _ = prune(child, tmp_path / "grandchild", catalogue, hidden=0.5)
    lineage = grandchild.artifact.lineage["compression"]
    assert (lineage["of"], lineage["parent"]) == (parent.artifact.version, child.artifact.version)
    assert [(step["heads"], step["hidden"]) for step in lineage["steps"]] == [(0.5, None), (None, 0.5)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "history_ranker",
            {"layers": 2},
            r"prune.layers: must leave at least one of 2 layers, got 2; lower it",
        ),
        (
            "history_ranker",
            {"layers": 0.4},
            r"prune.layers: must remove at least one of 2 layers, got 0.4; set it to 1",
        ),
        (
            "history_ranker",
            {"unstructured": 1e-9},
            r"prune.unstructured: must set another weight to zero, but 0.00% .*, got 1e-09; raise it",
        ),
        (
            "history_ranker",
            {"heads": 0.3},
            r"prune.heads: must remove at least one of 2 heads .* got 0.3; raise it",
        ),
        (
            "dlrm",
            {"heads": 0.5},
            r"prune.heads: dlrm has no heads that can be pruned, got 0.5; remove the option",
        ),
        ("pooled_ranker", {"layers": 1}, r"prune.layers: pooled_ranker has no layers to remove, got 1"),
    ],
)
def test_options_that_do_not_fit_the_parent_are_refused(
    name: str, options: dict[str, Any], message: str, tmp_path: Path, catalogue: Catalogue, parents: Parents
) -> None:
    parent = parents(name)
    with pytest.raises(TrainingError, match=message):
        prune(parent, tmp_path / "child", catalogue, **options)
    assert not (tmp_path / "child").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 1.0}, "less than 1"),
        ({"hidden": -0.1}, "greater than or equal to 0"),
        ({"unstructured": 1}, "less than 1"),
        ({"heads": 0, "hidden": 0}, "heads: must be above 0, got 0; raise it, or remove the option"),
        ({"hidden": 0.5, "layers": 0}, "layers: must be above 0, got 0"),
        ({"layers": 1.5}, "layers: must be a whole number, or a share below 1, got 1.5; round it"),
        ({"heads": 0.5, "scope": "layer"}, "scope: only unstructured reads it, got layer; remove it"),
        (
            {"unstructured": 0.5, "importance": "taylor"},
            "importance: only heads and hidden read it, got taylor",
        ),
        ({"unstructured": 0.5, "lists": 5}, "lists: only layers and importance: taylor read lists, got 5"),
        ({"heads": 0.5, "lists": 5}, "lists: only layers and importance: taylor read lists, got 5"),
    ],
)
def test_options_that_remove_nothing_or_too_much_or_are_not_read_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        PruneOptions.model_validate(options)


@pytest.mark.parametrize(
    "options",
    [
        {"lists": 5},
        {"layers": 1, "lists": 5},
        {"hidden": 0.5, "lists": 5},
        {"importance": "taylor", "lists": 5},
    ],
)
def test_options_that_are_read_are_accepted(options: dict[str, Any]) -> None:
    assert PruneOptions.model_validate(options).lists == 5


def test_a_parent_without_a_module_is_refused(tmp_path: Path, catalogue: Catalogue, parents: Parents) -> None:
    parent = parents("history_ranker")
    graph = Model(parent.root, parent.artifact.model_copy(update={"architecture": {}}))
    with pytest.raises(
        TrainingError, match=r"prune: the model must have an architecture and model\.safetensors"
    ):
        prune(graph, tmp_path / "child", catalogue, heads=0.5)
    assert not (tmp_path / "child").exists()


def test_weights_that_are_not_finite_are_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = make_parent(tmp_path / "parent", ARCHITECTURES["history_ranker"]())
    path = parent.root / SAFETENSORS
    weights = load_file(path)
    weights["item_proj.weight"][0, 0] = float("nan")
    save_file(weights, path)
    with pytest.raises(
        TrainingError, match=r"must be finite, got NaN or infinite values in item_proj.weight"
    ):
        prune(parent, tmp_path / "child", catalogue, heads=0.5)
    assert not (tmp_path / "child").exists()
