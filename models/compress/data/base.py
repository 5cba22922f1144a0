"""The data of a recipe: what its steps read, and what its models are measured on."""

from collections.abc import Sequence
from typing import Protocol

from models.compress.quality import Labels, Scores
from models.compress.steps.base import Data, Model
from models.signature import Inputs, Signature

Call = Sequence[Inputs]
"""One request. Most models take it in one call, a text ranker in several."""


class RecipeData(Data, Protocol):
    """The data of a recipe."""

    @property
    def key(self) -> str:
        """A hash of everything that the lists are made from."""
        ...

    def labels(self) -> Labels:
        """Return the labels of the report lists."""
        ...

    def scores(self, model: Model) -> Scores:
        """Return a model's scores (N,) of the report lists, computed by its runtime.

        Raises:
            ModelError: the model cannot be loaded or executed.
        """
        ...

    def requests(self, signature: Signature, candidates: int, count: int) -> list[Call]:
        """Return ``count`` requests with this number of candidates. Each signature gets the same ones."""
        ...
