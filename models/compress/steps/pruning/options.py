"""The options of the step ``prune``."""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.compress.steps.base import StepOptions
from models.compress.steps.tuning.options import TuneConfig
from models.compress.steps.uses import MODULES, Uses


class PruneOptions(StepOptions):
    """What to remove. Without any of the four options, half of the heads or, if there are none, of the hidden units.

    Attributes:
        layers: layers to remove, or their share if below 1. Those go whose absence costs the least selection NDCG.
        heads: share of each layer's attention heads to remove.
        hidden: share of each feed-forward layer's hidden units to remove.
        unstructured: share of the linear layers' weights to set to zero. A dense runtime does not get faster by it.
            Only a compressed copy of the file gets smaller.
        scope: whether ``unstructured`` is a share of all weights together, or of each matrix. Refused without it.
        importance: removes the heads and units whose absence changes the loss least (``taylor``), or those with the
            smallest weights (``magnitude``, which needs no lists). None: heads by magnitude and hidden units by the
            loss, which was best for the walks ranker. Refused if neither heads nor hidden units are removed.
        lists: the maximum number of lists: training lists for ``taylor``, selection lists for ``layers``. Refused if
            neither reads lists.
        tune: tuning after the pruning. None: no tuning.
    """

    kind: Literal["prune"] = "prune"
    layers: float | None = Field(default=None, ge=0)
    heads: float | None = Field(default=None, ge=0, lt=1)
    hidden: float | None = Field(default=None, ge=0, lt=1)
    unstructured: float | None = Field(default=None, ge=0, lt=1)
    scope: Literal["global", "layer"] = "global"
    importance: Literal["taylor", "magnitude"] | None = None
    lists: int = Field(default=1000, ge=1)
    tune: TuneConfig | None = TuneConfig()

    @property
    def uses(self) -> Uses:
        """The code and the packages that may change the result."""
        own = Uses.of(code=("compress/steps/pruning",))
        return own | (MODULES if self.tune is None else self.tune.uses)

    @property
    def names_nothing(self) -> bool:
        """Whether the step chooses itself what to remove."""
        return all(share is None for share in (self.layers, self.heads, self.hidden, self.unstructured))

    @model_validator(mode="after")
    def _removes_something(self) -> Self:
        for name in ("layers", "heads", "hidden", "unstructured"):
            if getattr(self, name) == 0:
                raise ValueError(f"{name}: must be above 0, got 0; raise it, or remove the option")
        if self.layers is not None and self.layers > 1 and self.layers != int(self.layers):
            raise ValueError(
                f"layers: must be a whole number, or a share below 1, got {self.layers:g}; round it"
            )
        return self

    @model_validator(mode="after")
    def _options_are_read(self) -> Self:
        if "scope" in self.model_fields_set and self.unstructured is None:
            raise ValueError(
                f"scope: only unstructured reads it, got {self.scope}; remove it, or set unstructured"
            )
        is_bare = self.names_nothing
        if self.importance is not None and not (self.heads or self.hidden or is_bare):
            raise ValueError(
                f"importance: only heads and hidden read it, got {self.importance}; remove it, or set one of them"
            )
        by_loss = self.importance == "taylor" or (self.importance is None and bool(self.hidden or is_bare))
        if "lists" in self.model_fields_set and not (self.layers or by_loss):
            raise ValueError(
                f"lists: only layers and importance: taylor read lists, got {self.lists}; remove it, or set one of them"
            )
        return self

    @property
    def keeps_speed(self) -> bool:
        """Zeros make no matrix smaller."""
        return self.unstructured is not None and not (self.layers or self.heads or self.hidden)
