"""The folder with a recipe's lists."""

from pathlib import Path

import pytest

from cli.models.recipe_data import lists_folder
from models.compress.recipe import Recipe
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError
from tests.models.compress.homes import PIPELINE, recipe_document


def test_lists_of_the_recipe_go_before_those_of_the_training(tmp_path: Path) -> None:
    pipeline = PipelineConfig.model_validate(PIPELINE)
    recipe = Recipe.model_validate(recipe_document(steps=["quantize"]))

    assert lists_folder(recipe, pipeline, tmp_path) == tmp_path / PIPELINE["training"]["data"]
    assert (
        lists_folder(recipe.model_copy(update={"lists": "queries"}), pipeline, tmp_path)
        == tmp_path / "queries"
    )


def test_neither_of_them_is_an_error(tmp_path: Path) -> None:
    pipeline = PipelineConfig.model_validate({**PIPELINE, "training": None})
    recipe = Recipe.model_validate(recipe_document(steps=["quantize"]))
    with pytest.raises(
        ConfigError, match="lists: missing in the recipe, and pipeline small has no training data"
    ):
        lists_folder(recipe, pipeline, tmp_path)
