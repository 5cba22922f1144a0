"""The options of the step ``quantize``."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from models.compress.steps.base import StepOptions

Mode = Literal["dynamic", "embeddings"]
_READ_BY: Mapping[Mode, frozenset[str]] = {
    "dynamic": frozenset({"per_channel", "reduce_range"}),
    "embeddings": frozenset({"min_rows"}),
}
"""The options that each mode reads, besides ``kind`` and ``mode``."""


class QuantizeOptions(StepOptions):
    """Options of the step ``quantize``. A mode refuses the options of other modes.

    Attributes:
        mode: ``dynamic`` computes the layers in int8, and scales the activations at each call. ``embeddings`` stores
            the rows of embedding tables in int8.
        per_channel: a scale for each column of a layer's matrix, instead of one for the matrix.
        reduce_range: store the weights in 7 bits. Without VNNI a CPU adds two products of 8 bits in 16 bits, which
            overflows. None: only on a CPU that does so.
        min_rows: the fewest rows of a table that is quantised.
    """

    kind: Literal["quantize"] = "quantize"
    mode: Mode = "dynamic"
    per_channel: bool = True
    reduce_range: bool | None = None
    min_rows: int = Field(default=256, ge=1)

    @model_validator(mode="after")
    def _mode_reads_the_options(self) -> Self:
        unread = sorted(self.model_fields_set - _READ_BY[self.mode] - {"mode", *StepOptions.model_fields})
        if unread:
            raise ValueError(
                f"{unread[0]}: mode {self.mode} does not read it; remove it, or use mode "
                f"{' or '.join(mode for mode, read in _READ_BY.items() if unread[0] in read)}"
            )
        return self
