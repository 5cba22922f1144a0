"""Keys of steps and of measurements. If a key is unchanged, the result is still valid."""

import inspect
from pathlib import Path

from models.code_identity import hash_of_code
from models.compress.data.base import RecipeData
from models.compress.machine import machine_key
from models.compress.recipe import Recipe
from models.compress.steps.base import AnyStepKind, Model, StepOptions
from models.training.lineage import hash_of, hash_of_training_code

_CODE = Path(__file__).resolve().parent
_OF_NO_STEP = {
    "report",
    "measuring",
    "chain.py",
    "figures.py",
    "gate.py",
    "machine.py",
    "places.py",
    "quality.py",
    "records.py",
    "rows.py",
}
"""Folders and files that do not change the result of a step."""


class Keys:
    """Keys of a recipe's steps. Code and data are hashed once."""

    def __init__(self, recipe: Recipe, data: RecipeData, original: Model) -> None:
        """Hash everything that all steps depend on."""
        self._measure = recipe.measure.model_dump(mode="json")
        self._machine = machine_key()
        self._measuring = hash_of_code([*sorted((_CODE / "measuring").rglob("*.py")), _CODE / "quality.py"])
        self._shared = {
            "original": original.artifact.version,
            "data": data.key,
            "code": [hash_of_training_code(), hash_of_code(_step_files())],
            "seed": recipe.seed,
        }

    def of_step(self, options: StepOptions, kind: AnyStepKind, parent: Model) -> str:
        """Return a hash of the parent, the options, the data and the code. The gate is not hashed."""
        step = {"parent": parent.artifact.version, "options": options.lineage, "plugin": _code_of(kind)}
        return hash_of({**self._shared, **step, "machine": options.of_machine})

    def of_measurement(self, child: Model, parent: Model) -> str:
        """Return a hash of everything that a child's figures depend on, except the load of the machine.

        So all figures of a report are of one machine with the same libraries.
        """
        versions = [child.artifact.version, parent.artifact.version, self._shared["original"]]
        data = {"data": self._shared["data"], "measure": self._measure}
        return hash_of({"versions": versions, "machine": self._machine, "code": self._measuring, **data})


def _step_files() -> list[Path]:
    files = sorted(_CODE.rglob("*.py"))
    return [path for path in files if path.relative_to(_CODE).parts[0] not in _OF_NO_STEP]


def _code_of(kind: AnyStepKind) -> str:
    """Return a hash of a plug-in step's module. The code of built-in steps is hashed once for all."""
    source = inspect.getsourcefile(kind.run)
    if source is None or Path(source).is_relative_to(_CODE) or not Path(source).is_file():
        return ""
    return hash_of_code([Path(source)])
