"""Options of linear layers that compression has changed. An artifact stores them, so that the module can be rebuilt."""

from pydantic import BaseModel, ConfigDict, Field


class LinearSize(BaseModel):
    """The size of one linear layer, where it differs from the size that the architecture gives it.

    Attributes:
        inputs: columns of the matrix. None: as the architecture has it.
        outputs: rows of the matrix. None: as the architecture has it.
        rank: the layer is a product of two layers with this width between them. None: it is one layer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: int | None = Field(default=None, ge=1)
    outputs: int | None = Field(default=None, ge=1)
    rank: int | None = Field(default=None, ge=1)


class Resizable(BaseModel):
    """Options of an architecture whose linear layers can be resized.

    Attributes:
        linears: sizes by the layer's dotted name in the module. An artifact that was not compressed has none,
            and its description leaves them out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    linears: dict[str, LinearSize] = Field(default_factory=dict, exclude_if=lambda sizes: not sizes)
