"""Recipes: their defaults, steps by name, branches, and the errors of faulty files."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from models.compress.gate import Gate
from models.compress.recipe import Recipe, load_recipe
from models.errors import CompressionError
from tests.models.compress.homes import recipe_document
from tests.models.compress.noise import NoiseOptions

pytestmark = pytest.mark.usefixtures("noise")


def faults(path: Path, **fields: Any) -> str:
    """Return the errors of a recipe with these fields."""
    document = {name: value for name, value in recipe_document(**fields).items() if value is not None}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(CompressionError) as raised:
        load_recipe(path)
    return str(raised.value).replace(f"{path}:", "")


def branch(name: str, of: str = "original") -> dict[str, Any]:
    return {"name": name, "of": of, "steps": ["noise"]}


def test_bare_name_takes_the_defaults_and_steps_alone_are_one_branch(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "pipeline: p.yaml\nmodel: ranker\nout: o\ntrust: [tests]\nsteps: [noise, {kind: noise, scale: 2}]\n"
    )
    (only,) = load_recipe(path).ordered()
    assert (only.name, only.of) == ("main", "original")
    assert only.steps == (NoiseOptions(), NoiseOptions(scale=2))


def test_gate_of_a_step_overrides_single_bounds() -> None:
    recipe = Recipe.model_validate(
        recipe_document(gate={"min_speedup": 1.5}, steps=[{"kind": "noise", "gate": {"max_ndcg_loss": 0.2}}])
    )
    step = recipe.steps[0]
    assert recipe.gate.of_step(step.gate) == Gate(max_ndcg_loss=0.2, min_speedup=1.5)
    assert step.lineage == NoiseOptions().lineage


def test_branches_follow_the_branch_with_which_they_begin() -> None:
    listed = [branch("c", "b"), branch("b", "a"), branch("a"), branch("d")]
    recipe = Recipe.model_validate(recipe_document(steps=[], branches=listed))
    assert [each.name for each in recipe.ordered()] == ["a", "d", "b", "c"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"steps": ["nois"]}, "13: steps.0: unknown step, got 'nois'; use one of "),
        ({"steps": [{"kind": "nois"}]}, "13: steps.0.kind: unknown step, got 'nois'; use one of "),
        ({"steps": [{"kind": "noise", "scal": 1}]}, "14: steps.0.scal: no such field; did you mean scale?"),
        ({"steps": None}, "steps: missing; add it"),
        ({"branches": [branch("a")]}, "12: steps: cannot be combined with branches; move them to a branch"),
        ({"trust": []}, "13: steps.0: the configuration does not trust the package tests"),
        ({"model": None}, "model: missing; add it"),
        (
            {"measure": {"candidates": [5, 20, 5]}},
            "measure.candidates: expected different numbers, got 5 twice",
        ),
        ({"steps": []}, "steps: missing; add it"),
        ({"gate": {"min_speed": 1}}, "5: gate.min_speed: no such field; did you mean min_speedup?"),
    ],
)
def test_fault_names_line_field_and_remedy(tmp_path: Path, fields: dict[str, Any], expected: str) -> None:
    assert expected in faults(tmp_path / "recipe.yaml", **fields)


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        ([branch("a"), branch("a")], "branches.1.name: is used twice, got 'a'; choose another name"),
        ([branch("original")], "branches.0.name: is the name of the model to compress"),
        ([branch("a", "b")], "branches.0.of: unknown branch, got 'b'; name one of original, a"),
        ([branch("a", "a")], "branches.0.of: begins with itself, got a; let one"),
        (
            [branch("c"), branch("a", "b"), branch("b", "a")],
            "branches.1.of: begins with itself, got a, b; let",
        ),
        ([branch("A/b")], "branches.0.name: String should match pattern"),
        ([{"name": "a", "steps": []}], "branches.0.steps: expected at least one step, got none; add a step"),
    ],
)
def test_fault_of_branches_has_a_line(tmp_path: Path, branches: list[Any], expected: str) -> None:
    error = faults(tmp_path / "recipe.yaml", branches=branches, steps=None)
    assert expected in error
    assert error.split(":")[0].isdigit()


@pytest.mark.parametrize("text", ["[]", "a: [", ""])
def test_file_without_fields_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(CompressionError, match=str(path)):
        load_recipe(path)
