"""A recipe's folder: which models may lie in it."""

from pathlib import Path

import pytest

from models.compress.running.places import recipe_folder
from models.errors import CompressionError


@pytest.mark.parametrize(
    "place", ["out/main/01-prune", "out/main/rejected/02-prune", "models/ranker", "output"]
)
def test_served_models_may_be_results_of_the_recipe(tmp_path: Path, place: str) -> None:
    assert recipe_folder("out", tmp_path, {}, {"the model": tmp_path / place}) == tmp_path / "out"
    if place.startswith("out/"):
        with pytest.raises(CompressionError, match="out: overlaps the original in "):
            recipe_folder("out", tmp_path, {"the original": tmp_path / place})


@pytest.mark.parametrize("place", ["out", "out/main", "out/main/ranker", "out/a/main/01-prune", "."])
def test_other_served_models_may_not_lie_in_the_folder(tmp_path: Path, place: str) -> None:
    with pytest.raises(CompressionError, match=r"out: overlaps the model in .*; name another folder"):
        recipe_folder("out", tmp_path, {}, {"the model": tmp_path / place})
