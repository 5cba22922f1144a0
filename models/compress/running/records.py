"""The record of a finished step beside its artifact. A later run finds the step again by its key."""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from models.compress.figures import Figures
from models.compress.steps.base import Outcome
from models.durable import write_file


class Record(BaseModel):
    """A finished step.

    Attributes:
        key: the step's key.
        version: the version of the artifact that it wrote.
        wall_s: how long the step took.
        measured: the key of the figures.
        figures: None if the child was not measured yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    version: str
    wall_s: float
    facts: dict[str, Any] = Field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)
    measured: str = ""
    figures: Figures | None = None

    @field_validator("figures", mode="wrap")
    @classmethod
    def _figures_of_another_version_are_left_out(
        cls, figures: Any, handler: ValidatorFunctionWrapHandler
    ) -> Figures | None:
        """Read a record whose figures have other fields. The model is then measured again, not made again."""
        try:
            known: Figures | None = handler(figures)
        except ValidationError:
            return None
        return known

    @classmethod
    def of(cls, key: str, version: str, outcome: Outcome, wall_s: float) -> Self:
        """Return the record of a step that has just ended."""
        plain: dict[str, Any] = json.loads(
            json.dumps({"facts": dict(outcome.facts), "tables": dict(outcome.tables)}, default=_plain)
        )
        return cls(key=key, version=version, wall_s=round(wall_s, 1), **plain)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the record at ``path``. None if there is none, or if it is damaged."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None  # the step is executed again

    def write(self, path: Path) -> None:
        """Write the record completely or not at all.

        Raises:
            OSError: it cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, self.model_dump_json(indent=1) + "\n")


def _plain(value: Any) -> Any:
    """Return a value of numpy, or a mapping or sequence of another class, as plain data."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if hasattr(value, "keys"):
        return dict(value)
    return list(value) if hasattr(value, "__iter__") else str(value)
