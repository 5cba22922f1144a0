"""Keys of steps and of measurements. If a key is unchanged, the result is still valid."""

import inspect
from pathlib import Path

from models.code_identity import hash_of_code
from models.compress.data.base import RecipeData
from models.compress.machine import machine_key
from models.compress.recipe import Recipe
from models.compress.steps.base import AnyStepKind, Model, StepOptions
from models.compress.steps.uses import SCORES, TEXT, Uses
from models.training.lineage import hash_of, hash_of_training_code

_SHARED = Uses.of(
    code=("compress/data", *(f"compress/steps/{name}.py" for name in ("child", "losses", "modules")))
)
"""The code of all steps besides the code of trainings. Each step adds what it uses."""

_MEASURING = SCORES | Uses.of(code=("compress/measuring", "compress/quality.py", "compress/data"))


class Keys:
    """Keys of a recipe's steps. Code and data that they share are hashed once."""

    def __init__(self, recipe: Recipe, data: RecipeData, original: Model) -> None:
        """Hash everything that all steps depend on."""
        artifact = original.artifact
        of_lists = TEXT if artifact.signature.layout == "pairs" else Uses()
        of_original = Uses.of(packages=() if artifact.runtime is None else (artifact.runtime,))
        self._measure = recipe.measure.model_dump(mode="json")
        self._machine = machine_key()
        self._measuring = (_MEASURING | of_lists).identity()
        self._scores = _reads_scores(original)
        self._shared = {
            "original": artifact.version,
            "data": data.key,
            "code": hash_of_training_code(),
            "uses": (_SHARED | of_lists | of_original).identity(),
            "seed": recipe.seed,
        }

    def of_step(self, options: StepOptions, kind: AnyStepKind, parent: Model) -> str:
        """Return a hash of the parent, the options, the data, the code and the packages. The gate is not hashed."""
        uses = options.uses | SCORES if self._scores else options.uses
        step = {
            "parent": parent.artifact.version,
            "options": options.lineage,
            "of_step": uses.identity(),
            "plugin": _code_of(kind),
            "machine": options.of_machine,
        }
        return hash_of({**self._shared, **step})

    def of_measurement(self, child: Model, parent: Model) -> str:
        """Return a hash of everything that a child's figures depend on, except the load of the machine.

        So all figures of a report are of one machine with the same libraries.
        """
        versions = [child.artifact.version, parent.artifact.version, self._shared["original"]]
        data = {"data": self._shared["data"], "measure": self._measure}
        return hash_of({"versions": versions, "machine": self._machine, "code": self._measuring, **data})


def _reads_scores(model: Model) -> bool:
    """Return whether a model reads the ranker's scores, so that its lists depend on them."""
    return "candidate.score" in model.artifact.signature.columns


def _code_of(kind: AnyStepKind) -> str:
    """Return a hash of a plug-in step's module. Built-in steps name their code themselves."""
    source = inspect.getsourcefile(kind.run)
    compress = Path(__file__).resolve().parents[1]
    if source is None or Path(source).is_relative_to(compress) or not Path(source).is_file():
        return ""
    return hash_of_code([Path(source)])
