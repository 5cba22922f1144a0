"""The columns of a user's impressions: lists that were shown, with their outcomes."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.datasets.time_format import TimeFormat

Relevance = Annotated[float, Field(ge=0, le=1)]


class ImpressionsConfig(BaseModel):
    """The columns of the impressions, by role. A row is one shown item, or one list with list columns.

    Attributes:
        list: the id of the shown list, such as a request id. None: the rows of one user at one time are a list.
        time: when the list was shown. The earliest time of a list counts.
        position: the place of the item in the list. It is kept beside the lists, and no feature.
        label: the relevance, a number from 0 to ``highest``, or true and false. Empty means 0.
        highest: the label that means the relevance 1.
        kind: the kind of reaction, instead of ``label``. Empty means that the item was only shown.
        kinds: relevance by kind. Other kinds mean that the item was only shown.
        format: how the times are written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    list: str | None = None
    user: str
    item: str
    time: str
    position: str | None = None
    label: str | None = None
    highest: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    kind: str | None = None
    kinds: dict[str, Relevance] = Field(default_factory=dict)
    format: TimeFormat = TimeFormat()

    @model_validator(mode="after")
    def _outcomes_are_labels_or_kinds(self) -> Self:
        if (self.label is None) == (self.kind is None):
            raise ValueError("needs either label or kind; name the column with the outcome")
        if self.kind is None and self.kinds:
            raise ValueError("kinds: needs kind; name the column, or remove kinds")
        if self.kind is not None and not any(self.kinds.values()):
            raise ValueError("kinds: no kind has a relevance above 0; name one, such as click: 1.0")
        return self
