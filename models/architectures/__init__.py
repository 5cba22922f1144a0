"""Architectures by name: ``build_architecture`` makes the module that an artifact's options describe."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from models.architectures.options import (
    DlrmOptions,
    HistoryRankerOptions,
    ListwiseOptions,
    PooledRankerOptions,
    SequenceClassifierOptions,
)
from models.errors import ArtifactError

if TYPE_CHECKING:
    from models.architectures.base import Architecture

_OPTIONS: dict[str, type[BaseModel]] = {
    "history_ranker": HistoryRankerOptions,
    "pooled_ranker": PooledRankerOptions,
    "listwise": ListwiseOptions,
    "dlrm": DlrmOptions,
    "hf_sequence_classification": SequenceClassifierOptions,
}


def build_architecture(options: Mapping[str, Any]) -> "Architecture":
    """Build the module that ``options["name"]`` and its other fields describe, with random weights.

    Raises:
        ArtifactError: the name is unknown, or the options do not fit it.
    """
    name = options.get("name")
    if not isinstance(name, str) or name not in _OPTIONS:
        raise ArtifactError(f"architecture {name!r} is unknown; use one of {', '.join(_OPTIONS)}")
    try:
        parsed = _OPTIONS[name].model_validate(dict(options))
    except ValidationError as error:
        raise ArtifactError(f"the options of architecture {name} cannot be used: {error}") from error
    if isinstance(parsed, HistoryRankerOptions):
        from models.architectures.history_ranker import HistoryRanker

        return HistoryRanker(parsed)
    if isinstance(parsed, PooledRankerOptions):
        from models.architectures.pooled_ranker import PooledRanker

        return PooledRanker(parsed)
    if isinstance(parsed, ListwiseOptions):
        from models.architectures.listwise import ListwiseReranker

        return ListwiseReranker(parsed)
    if isinstance(parsed, SequenceClassifierOptions):
        from models.architectures.sequence_classifier import SequenceClassifier

        return SequenceClassifier(parsed)
    assert isinstance(parsed, DlrmOptions)
    from models.architectures.dlrm import Dlrm

    return Dlrm(parsed)
