"""The columns of a user's items and users, and the features that they become."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FeatureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class AttributeConfig(BaseModel):
    """A feature that is read from a column of the items or users.

    Attributes:
        column: the column. None: its name is that of the feature.
        kind: "number" is one number. "category" has a slot of 0 or 1 for each value, and "vector" is a list of numbers.
        log: whether the model reads log(1 + number), which suits prices and counts.
        separator: text between the values, if a category has several values in one text.
        slots: number of slots of a category. If there are more values, they are hashed to slots.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | None = None
    kind: Literal["number", "category", "vector"] = "number"
    log: bool = False
    separator: str | None = None
    slots: int = Field(default=64, ge=2, le=4096)

    @model_validator(mode="after")
    def _options_fit_the_kind(self) -> Self:
        if self.log and self.kind != "number":
            raise ValueError(f"log: is only for numbers, got kind {self.kind}; remove log")
        if self.separator is not None and (self.kind != "category" or not self.separator):
            raise ValueError(
                f"separator: is only for categories and not empty, got kind {self.kind}; remove it"
            )
        return self


class AttributesConfig(BaseModel):
    """The columns of the items or users.

    Attributes:
        id: the column with the id.
        features: features by name.
        position: the columns with latitude and longitude in degrees. Only for items.
        texts: columns that the details of an item show. Only for items.
        embed: a folder with a sentence encoder, ``model.onnx`` and ``tokenizer.json``. The feature ``embedding`` is the
            vector of the texts. Only for items.
        popularity: a column with numbers that order the items, as long as there are no events. Larger numbers are more
            popular. None: the first item is the most popular. Only for items.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    features: dict[FeatureName, AttributeConfig] = Field(default_factory=dict)
    position: tuple[str, str] | None = None
    texts: tuple[str, ...] = ()
    embed: str | None = None
    popularity: str | None = None
