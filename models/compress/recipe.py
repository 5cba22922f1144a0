"""A recipe: the model to compress, the steps of each branch, and the bounds that decide which steps are kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from autoscale.registries.trust import Package, trusting
from models.compress.gate import Gate
from models.compress.steps.registry import StepConfig
from models.documents.faults import fault_lines
from models.documents.reading import read_document
from models.errors import CompressionError, DocumentError

ORIGINAL = "original"
_SINGLE = "main"
"""The branch of a recipe with ``steps`` alone."""
Metric = Literal["ndcg_at_10", "auc"]
Candidates = Annotated[int, Field(ge=1, le=1_000_000)]
Folder = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=63)]


def _from_name(step: Any) -> Any:
    """Return the options of a step that is given by its name only."""
    return {"kind": step} if isinstance(step, str) else step


Step = Annotated[StepConfig, BeforeValidator(_from_name)]


class MeasureConfig(BaseModel):
    """How the models are measured.

    Attributes:
        candidates: candidates in a request, ascending. The middle number decides whether a step is fast enough.
        seconds: seconds in which a model is called, for each number of candidates.
        metric: the quality's measure. AUC is that of all items of all lists together.
        max_lists: the largest number of report lists, spaced evenly over time. None uses all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: tuple[Candidates, ...] = Field(default=(50, 200, 1000), min_length=1)
    seconds: float = Field(default=2.0, gt=0, le=600)
    metric: Metric = "ndcg_at_10"
    max_lists: int | None = Field(default=None, ge=2)

    @field_validator("candidates")
    @classmethod
    def _each_number_is_measured_once(cls, candidates: tuple[int, ...]) -> tuple[int, ...]:
        twice = [count for index, count in enumerate(candidates) if count in candidates[:index]]
        if twice:
            raise ValueError(f"expected different numbers, got {twice[0]} twice; remove one")
        return tuple(sorted(candidates))


class Branch(BaseModel):
    """A chain of steps.

    Attributes:
        name: the name of its folder in the recipe's folder.
        of: the branch with whose last accepted model this one begins, or ``original``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Folder
    of: str = ORIGINAL
    steps: tuple[Step, ...]

    @field_validator("steps")
    @classmethod
    def _has_a_step(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        if not steps:
            raise ValueError("expected at least one step, got none; add a step, or remove the branch")
        return steps


class Recipe(BaseModel):
    """A compression recipe.

    Attributes:
        pipeline: the pipeline's YAML file. It has the data, the features and the catalogue.
        model: the model's name in the pipeline's ``models``.
        lists: folder with the impressions ``train`` and ``valid``, relative to the home. None: those of the pipeline's
            part ``training``. A text ranker needs lists with its queries.
        out: folder for the compressed models and the report, relative to the home.
        gate: the bounds of all steps. A step may have its own.
        steps: the steps of a recipe with a single branch.
        seed: seed for all random choices.
        threads: CPU threads for the steps. Models are measured on one thread.
        trust: the packages outside this repository whose steps the recipe may run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pipeline: str = Field(min_length=1)
    model: str = Field(min_length=1)
    lists: str | None = Field(default=None, min_length=1)
    out: str = Field(min_length=1)
    gate: Gate = Gate()
    measure: MeasureConfig = MeasureConfig()
    branches: tuple[Branch, ...] = ()
    steps: tuple[Step, ...] = ()
    seed: int = Field(default=1, ge=0)
    threads: int = Field(default=1, ge=1, le=256)
    trust: tuple[Package, ...] = ()

    def ordered(self) -> tuple[Branch, ...]:
        """Return the branches so that each follows the branch with which it begins."""
        if self.steps:
            return (Branch.model_construct(name=_SINGLE, of=ORIGINAL, steps=self.steps),)
        return _ordered(self.branches)

    @model_validator(mode="wrap")
    @classmethod
    def _only_trusted_steps_are_loaded(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        with trusting(data.get("trust") if isinstance(data, dict) else None):
            return handler(data)

    @model_validator(mode="after")
    def _has_branches_or_steps(self) -> Self:
        if self.steps and self.branches:
            raise _fault("cannot be combined with branches; move them to a branch", "steps")
        if not self.steps and not self.branches:
            raise _fault("missing; add it", "steps", code="missing")
        return self

    @model_validator(mode="after")
    def _branches_are_named(self) -> Self:
        names = [branch.name for branch in self.branches]
        for index, branch in enumerate(self.branches):
            if branch.name in {ORIGINAL, *names[:index]}:
                problem = (
                    "is the name of the model to compress" if branch.name == ORIGINAL else "is used twice"
                )
                message = f"{problem}, got {branch.name!r}; choose another name"
                raise _fault(message, "branches", index, "name")
            if branch.of not in {ORIGINAL, *names}:
                message = f"unknown branch, got {branch.of!r}; name one of {', '.join([ORIGINAL, *names])}"
                raise _fault(message, "branches", index, "of")
        ordered = {branch.name for branch in _ordered(self.branches)}
        circle = [name for name in names if name not in ordered]
        if circle:
            message = f"begins with itself, got {', '.join(circle)}; let one of them begin with {ORIGINAL}"
            raise _fault(message, "branches", names.index(circle[0]), "of")
        return self


def load_recipe(path: Path) -> Recipe:
    """Read and validate a recipe.

    Raises:
        CompressionError: the file has faults. Each is one line with the file, the line, the field and the problem.
    """
    try:
        data, text = read_document(path)
    except DocumentError as error:
        raise CompressionError(str(error)) from error
    if not isinstance(data, dict):
        raise CompressionError(
            f"{path}: expected a mapping of fields; see configs/compress/walks.yaml for an example"
        )
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        with trusting(data.get("trust")):  # the remedies name the fields of plug-in steps too
            lines = fault_lines(error, data, Recipe, str(path), text)
        raise CompressionError("\n".join(lines)) from error


def _fault(message: str, *location: int | str, code: str = "recipe") -> ValidationError:
    """Return an error whose field, and so its line, is that of ``location``."""
    text = PydanticCustomError(code, "{message}", {"message": message})
    details = InitErrorDetails(type=text, loc=location, input={})
    return ValidationError.from_exception_data(Recipe.__name__, [details])


def _ordered(branches: Sequence[Branch]) -> tuple[Branch, ...]:
    """Return the branches in order, without those that begin with themselves."""
    ordered: list[Branch] = []
    known, left = {ORIGINAL}, list(branches)
    while ready := [branch for branch in left if branch.of in known]:
        ordered += ready
        known |= {branch.name for branch in ready}
        left = [branch for branch in left if branch not in ready]
    return tuple(ordered)
