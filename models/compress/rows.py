"""The result of a recipe: a row for each step, and the machine."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.compress.figures import Figures

State = Literal["accepted", "rejected", "failed"]
Table = Sequence[Mapping[str, Any]]


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(_Result):
    """One step, or the original.

    Attributes:
        label: branch and step, such as "student/02-quantize", or "original".
        parent: the label of the step's parent. Empty for the original.
        path: the artifact's folder, relative to the home. Empty if the step failed.
        options: the step's options.
        state: whether the gate accepted the step. A failed step has no artifact.
        reason: the reason for which it was not accepted. Empty if it was.
        figures: None if the step failed.
        facts: the step's choices.
        tables: the step's tables by title.
        wall_s: how long the step took, without measuring, in the run that made it.
        fresh: whether the step was executed in this run. False: it was found again by its key.
    """

    label: str
    parent: str = ""
    path: str = ""
    version: str = ""
    kind: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    state: State = "accepted"
    reason: str = ""
    figures: Figures | None = None
    facts: dict[str, Any] = Field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)
    wall_s: float = 0.0
    fresh: bool = True


class Machine(_Result):
    """The measuring machine.

    Attributes:
        flags: the instruction sets that determine a model's speed.
    """

    cpu: str
    cores: int
    flags: tuple[str, ...]
    versions: dict[str, str]


class Result(_Result):
    """The result of a recipe.

    Attributes:
        recipe: the recipe, as plain data.
        metric: the name of the quality's measure.
        lists: the number of report lists.
        users: the number of their users. Intervals are those over users. None: the data do not know the users, and
            intervals are those over lists.
        at: when the run ended, in ISO 8601 with the time zone.
        rows: the original, then the steps in the order in which they ran.
    """

    recipe: dict[str, Any]
    metric: str
    lists: int
    users: int | None = None
    at: str
    machine: Machine
    rows: tuple[Row, ...]

    @property
    def candidates(self) -> list[int]:
        """The measured numbers of candidates, ascending."""
        return sorted(self.recipe["measure"]["candidates"])

    @property
    def deciding(self) -> int:
        """The number of candidates with which steps are judged."""
        return self.candidates[len(self.candidates) // 2]

    @property
    def original(self) -> Row:
        """The row of the model that was compressed."""
        return self.rows[0]

    @property
    def steps(self) -> tuple[Row, ...]:
        """The rows of the steps."""
        return self.rows[1:]
