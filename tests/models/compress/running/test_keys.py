"""Keys of steps: the code and the packages that they name are those that they use."""

import ast
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from models.compress.recipe import Recipe
from models.compress.running import keys
from models.compress.running.keys import Keys
from models.compress.steps import uses
from models.compress.steps.base import StepOptions
from models.compress.steps.distillation.options import DistilOptions
from models.compress.steps.factorization.options import LowRankOptions
from models.compress.steps.pruning.options import PruneOptions
from models.compress.steps.quantization.moq.options import MoqConfig
from models.compress.steps.quantization.options import QuantizeOptions
from models.compress.steps.registry import STEPS
from models.compress.steps.tuning.options import TuneOptions
from tests.models.compress.homes import data_in, model_in, recipe_document

MODELS = Path(keys.__file__).parents[2]
ROOT = MODELS.parent
NO_RESULT = {f"models/compress/steps/{name}.py" for name in ("base", "registry", "uses")}
"""Types and registries. They change no result."""


def test_each_built_in_step_names_the_code_of_steps_that_it_imports() -> None:
    largest: list[StepOptions] = [
        PruneOptions(),
        LowRankOptions(),
        TuneOptions(),
        DistilOptions(),
        QuantizeOptions(moq=MoqConfig()),
    ]
    assert {options.kind for options in largest} == set(STEPS.builtins)
    for options in largest:
        named = [MODELS / name for name in (options.uses | keys._SHARED).code]
        files = {file for path in named for file in (path.rglob("*.py") if path.is_dir() else [path])}
        used = {path for file in files for path in _imported(file)}
        missing = {str(path.relative_to(ROOT)) for path in used - files} - NO_RESULT
        assert not {name for name in missing if "compress/steps" in name}, options.kind


def _imported(file: Path) -> Iterator[Path]:
    """Yield the files of models/ that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("models."):
            path = ROOT / str(node.module).replace(".", "/")
            if path.with_suffix(".py").is_file():
                yield path.with_suffix(".py")


def test_another_version_of_a_package_changes_the_keys_of_the_steps_that_use_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: dict[str, StepOptions] = {
        "distil": DistilOptions(),
        "trees": DistilOptions.model_validate({"student": {"architecture": "trees"}}),
        "prune": PruneOptions(),
        "prune and learn": PruneOptions.model_validate({"tune": {"learn_from": "original"}}),
        "low_rank": LowRankOptions(),
        "tune": TuneOptions(),
        "int8": QuantizeOptions(),
        "nncf": QuantizeOptions(mode="nncf"),
        "curvature": QuantizeOptions(sensitivity="curvature"),
    }
    changed = {
        "onnxruntime": {"distil", "trees", "prune and learn", "int8", "nncf", "curvature"},
        "nncf": {"nncf"},
        "openvino": {"nncf"},
        "lightgbm": {"trees"},
        "torch": {"distil", "prune", "prune and learn", "low_rank", "tune", "curvature"},
        "onnx": set(steps),
        "ray": set(),
    }
    original = model_in(home)
    made = Keys(Recipe.model_validate(recipe_document(steps=["tune"])), data_in(home), original)
    monkeypatch.setattr(uses, "hash_of_code", lambda _: "")

    def keys_with(other: str) -> dict[str, str]:
        monkeypatch.setattr(uses, "version", lambda name: "other" if name == other else version(name))
        return {
            name: made.of_step(options, STEPS.for_config(options), original)
            for name, options in steps.items()
        }

    before = keys_with("")
    for package, expected in changed.items():
        after = keys_with(package)
        assert {name for name in steps if before[name] != after[name]} == expected, package


def test_code_that_a_step_names_is_part_of_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text").mkdir()
    file = tmp_path / "text" / "pairs.py"
    file.write_text("WIDTH = 1")
    monkeypatch.setattr(uses, "_MODELS", tmp_path)
    named, first = uses.Uses.of(code=("text",)), uses.Uses.of(code=("text",)).identity()
    file.write_text("WIDTH = 1  # a comment")
    assert named.identity() == first
    file.write_text("WIDTH = 2")
    assert named.identity() != first
