"""The options of the step ``low_rank``."""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.compress.steps.base import StepOptions
from models.compress.steps.tuning.options import TuneConfig
from models.compress.steps.uses import MODULES, Uses


class LowRankOptions(StepOptions):
    """How the ranks are chosen. A layer that would not get smaller stays as it is.

    Attributes:
        energy: the share of each layer's squared singular values to keep. None: ``parameters`` is set. Without either
            option it is 0.95.
        parameters: the share of the linear layers' parameters to keep. All layers share this budget, and the
            singular values with the largest share of their layer's energy per parameter are kept.
        weighted: whether errors count by the inputs that layers get on training lists. False: all inputs count alike,
            and no lists are needed.
        lists: the maximum number of training lists on which the inputs are measured. Refused if not ``weighted``.
        tune: tuning after the factorization. None: no tuning.
    """

    kind: Literal["low_rank"] = "low_rank"
    energy: float | None = Field(default=None, gt=0, le=1)
    parameters: float | None = Field(default=None, gt=0, lt=1)
    weighted: bool = True
    lists: int = Field(default=1000, ge=1)
    tune: TuneConfig | None = TuneConfig()

    @property
    def uses(self) -> Uses:
        """The code and the packages that may change the result."""
        own = Uses.of(code=("compress/steps/factorization",))
        return own | (MODULES if self.tune is None else self.tune.uses)

    @model_validator(mode="after")
    def _options_are_read(self) -> Self:
        if self.energy is not None and self.parameters is not None:
            raise ValueError(
                f"energy: must not be set together with parameters, got {self.energy:g} and {self.parameters:g}; "
                f"remove one"
            )
        if "lists" in self.model_fields_set and not self.weighted:
            raise ValueError(
                f"lists: no lists are read with weighted: false, got {self.lists}; remove it, or set weighted: true"
            )
        return self
