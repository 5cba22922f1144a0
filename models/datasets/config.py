"""The ``training.events`` part of a pipeline's YAML: the event log for training, and its split."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

EventSet = Literal["movielens-100k", "online-retail-2"]


class EventsConfig(BaseModel):
    """An event log and its global temporal split.

    Attributes:
        train_share: share of events in the training period, which comes first.
        valid_share: share of events in the validation period. The rest is the test period.
        history: maximum number of distinct items in a user's history. The newest are used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    set: EventSet
    train_share: float = Field(default=0.8, gt=0, lt=1)
    valid_share: float = Field(default=0.1, gt=0, lt=1)
    history: int = Field(default=100, ge=1, le=10_000)

    @model_validator(mode="after")
    def _a_test_period_is_left(self) -> Self:
        if self.train_share + self.valid_share >= 1.0:
            raise ValueError(
                f"train_share, valid_share: must add up to less than 1, to leave a test period, got "
                f"{self.train_share} and "
                f"{self.valid_share}; lower one of them"
            )
        return self
