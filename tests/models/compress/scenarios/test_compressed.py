"""Recipes from data to figures, with real measurements."""

from pathlib import Path

import pytest

from models.artifact import Artifact
from models.compress.chain import Chain
from models.compress.measuring.measure import Meter
from models.compress.recipe import Recipe
from models.compress.rows import Result
from tests.models.compress.homes import data_in, model_in, recipe_document

pytestmark = pytest.mark.usefixtures("noise")


def compress(home: Path, model: str = "ranker") -> Result:
    recipe = Recipe.model_validate(recipe_document(model=model))
    data, original = data_in(home), model_in(home, model)
    meter = Meter(recipe.measure, data, original)
    return Chain(recipe, home, original, data, meter, lambda *_, **__: None).run()


def test_step_has_sizes_times_memory_and_quality(home: Path) -> None:
    result = compress(home)
    assert [row.label for row in result.rows] == ["original", "main/01-noise"]
    original, step = result.rows
    assert step.figures is not None
    assert original.figures is not None
    assert step.figures.sizes.parameters == original.figures.sizes.parameters > 1000
    assert [latency.candidates for latency in step.figures.latencies] == [5, 20]
    assert step.figures.peak_mib > step.figures.model_mib > 0
    assert step.figures.quality is not None
    assert step.figures.quality.low < step.figures.quality.value < step.figures.quality.high
    assert step.figures.change_of_parent == step.figures.change_of_original
    assert original.figures.change_of_original is not None
    assert original.figures.change_of_original.value == 0.0
    assert (step.state, step.path) == ("accepted", "compressed/main/01-noise")
    assert step.facts["scale"] == 0.01
    assert len(step.tables["Noise"]) == 3
    assert result.lists == 20
    assert Artifact.load(home / step.path).lineage["compression"]["of"] == original.version
    assert not list((home / "compressed").rglob("*.scratch"))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["reranker", "distilled"])
def test_reranker_and_fallback_are_compressed_too(home: Path, model: str) -> None:
    step = compress(home, model).steps[0]
    assert (step.label, step.state) == ("main/01-noise", "accepted")
