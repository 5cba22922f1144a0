"""The gate: the loss of quality and the speed-up that decide whether a step is accepted."""

from pydantic import BaseModel, ConfigDict, Field

from models.compress.figures import Figures


class GateOverrides(BaseModel):
    """A step's own bounds. None: the recipe's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_ndcg_loss: float | None = Field(default=None, ge=-1, le=1)
    min_speedup: float | None = Field(default=None, ge=0)


class Gate(BaseModel):
    """The bounds of a recipe's steps.

    Attributes:
        max_ndcg_loss: the largest loss of NDCG@10, or of AUC, as a share of the original's. 0.01 is 1%.
        min_speedup: the smallest speed-up, compared with the step's parent. 1.0 is "not slower". A step is refused if
            the upper quartile of the rounds' ratios is smaller, so that noise alone does not refuse it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_ndcg_loss: float = Field(default=0.01, ge=-1, le=1)
    min_speedup: float = Field(default=1.0, ge=0)

    def of_step(self, overrides: GateOverrides | None, *, keeps_speed: bool = False) -> "Gate":
        """Return the gate of a step.

        Args:
            overrides: the step's own bounds.
            keeps_speed: whether the step cannot change the speed. Its speed-up then differs from 1 by noise only, so
                it is judged by its quality alone, unless it has a bound of its own.
        """
        own = {} if overrides is None else overrides.model_dump(exclude_none=True)
        return self.model_copy(update={"min_speedup": 0.0, **own} if keeps_speed else own)

    def refusal(self, figures: Figures, metric: str) -> str | None:
        """Return the reason for which a step is rejected, or None if it is accepted.

        Args:
            figures: the step's figures.
            metric: the name of the quality's measure, for the reason.
        """
        change = figures.change_of_original
        if figures.fault is not None or change is None:
            return figures.fault or "it was not compared with the original"
        reasons, speed = [], figures.deciding
        if -change.value > self.max_ndcg_loss:
            reasons.append(
                f"{metric} is {-change.value:.2%} below the original's, and max_ndcg_loss is {self.max_ndcg_loss:.2%}"
            )
        if speed.of_parent_at_best < self.min_speedup:
            reasons.append(
                f"{speed.of_parent:.2f} times as fast as its parent at {speed.candidates} candidates, at best "
                f"{speed.of_parent_at_best:.2f} times (upper quartile of the rounds), and min_speedup is "
                f"{self.min_speedup:g}"
            )
        return "; ".join(reasons) or None
