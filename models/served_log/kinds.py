"""The ``feedback`` part of a pipeline's YAML: the kinds of feedback, and the relevance of each."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Relevance = float | Literal["value"] | tuple[float, float]


def _relevance(given: Any) -> Relevance:
    """Return a kind's relevance as it is written in the YAML.

    Raises:
        ValueError: it is neither a number, nor "value", nor a pair of numbers.
    """
    if given == "value" and isinstance(given, str):
        return "value"
    if isinstance(given, list | tuple):
        if len(given) == 2 and all(map(_is_share, given)):
            return float(given[0]), float(given[1])
    elif _is_share(given):
        return float(given)
    raise ValueError("expected a relevance from 0 to 1, the word value, or a pair such as [0.5, 1.0]")


def _is_share(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given <= 1


Kind = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.:-]{0,63}$")]


class FeedbackConfig(BaseModel):
    """The kinds of feedback that a pipeline takes. The log stores names, and training looks up the relevance.

    Attributes:
        kinds: the relevance of each kind for training. A number from 0 to 1 is the same for every event. With "value"
            an event carries a value from 0 to 1, which is the relevance. A pair is the relevance of the values 0
            and 1, with a straight line between them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: Mapping[Kind, Annotated[Relevance, BeforeValidator(_relevance)]] = Field(default_factory=dict)

    def takes_value(self, kind: str) -> bool:
        """Return whether an event of this kind carries a value."""
        return not isinstance(self.kinds[kind], float)

    def relevance(self, kind: str, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the relevance of events of one kind, by their values, float64 (E,)."""
        relevance = self.kinds[kind]
        if isinstance(relevance, float):
            return np.full(len(values), relevance)
        low, high = (0.0, 1.0) if relevance == "value" else relevance
        return low + (float(high) - float(low)) * values.astype(np.float64)
