"""The declared rules for an answer: no closed items, no recently seen items, and a cap on the items from one area.

``eligible`` filters candidates before they are reranked, for the whole ragged batch at once. The cap applies later,
while the list is picked (``diversity``, ``within_cap``). A closed item is never shown, even if the list is then empty.
Seen items are better than nothing: a request whose candidates were all seen keeps them. A cap may make a list shorter
than k, but never empty.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.features.catalogue import Catalogue
from models.features.definition import PER_CANDIDATE, Feature, FeatureSet
from models.features.sent import KEYS, item_values
from models.ragged import RaggedArray, RaggedBatch
from services.errors import ConfigError

_DAY_S = 86_400.0


class SeenRule(BaseModel):
    """Excludes items that the user saw in the last ``within_days`` days.

    Attributes:
        history: a ragged feature with item keys.
        at_s: a ragged feature with the times of these items, in epoch seconds.
        now_s: a feature with the present time, in epoch seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: str = "user.history"
    at_s: str = "user.history_at_s"
    now_s: str = "context.now_s"
    within_days: float = Field(gt=0)


class CapRule(BaseModel):
    """Allows at most ``most`` items with the same value of the integer item column ``column`` in a list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    most: int = Field(ge=1)


class RulesConfig(BaseModel):
    """The rules for an answer.

    Attributes:
        closed: ``item.<column>``, ``cell.<feature>`` or ``live.<feature>``. A candidate with a value above 0 is never
            shown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    closed: str | None = Field(default=None, pattern=r"^(item|cell|live)\.[a-z][a-z0-9_]*$")
    seen: SeenRule | None = None
    cap: CapRule | None = None

    @property
    def columns(self) -> frozenset[str]:
        """The columns of a batch that the rules read."""
        seen = () if self.seen is None else (self.seen.history, self.seen.at_s, self.seen.now_s)
        return frozenset(seen if self.closed is None else (*seen, self.closed))


class Rules:
    """One release's rules."""

    def __init__(self, config: RulesConfig, catalogue: Catalogue, features: FeatureSet) -> None:
        """Find the columns and features that the rules name.

        Raises:
            ConfigError: a column or feature does not exist or has another type.
        """
        self._config = config
        self._catalogue = catalogue
        self._groups: NDArray[np.int64] | None = None
        self._closed: NDArray[np.bool_] | None = None
        by_column = {feature.column: feature for feature in features.features if _may_rule(feature)}
        if config.closed is not None:
            kind, _, name = config.closed.partition(".")
            if kind == "item":
                self._closed = _scalars(catalogue, name, "reranker.rules.closed") > 0
            else:
                _expect(config.closed, by_column, "reranker.rules.closed", ragged=False)
        if config.seen is not None:
            for field in ("history", "at_s", "now_s"):
                name_field = f"reranker.rules.seen.{field}"
                _expect(getattr(config.seen, field), by_column, name_field, ragged=field != "now_s")
        if config.cap is not None:
            column = _scalars(catalogue, config.cap.column, "reranker.rules.cap.column")
            if column.dtype.kind not in "iu":
                raise ConfigError(
                    f"column {config.cap.column!r} does not hold whole numbers, got {column.dtype}; name another "
                    f"column",
                    field="reranker.rules.cap.column",
                )
            self._groups = column.astype(np.int64)

    @property
    def columns(self) -> frozenset[str]:
        """The batch columns that the rules read for an unknown user."""
        closed = self._config.closed
        return frozenset() if closed is None or self._closed is not None else frozenset((closed,))

    def open_items(self, batch: RaggedBatch) -> NDArray[np.bool_] | None:
        """Return which candidates any user may be shown, bool (N,). None if all may."""
        return self._open(batch)

    @property
    def max_per_group(self) -> int | None:
        """The most items from one group in a list. None without a cap."""
        return None if self._config.cap is None else self._config.cap.most

    def groups(self, batch: RaggedBatch) -> NDArray[np.int64] | None:
        """Return each candidate's capped group, (N,). None without a cap."""
        if self._groups is None or self._config.cap is None:
            return None
        return item_values(batch, f"item.{self._config.cap.column}", self._groups)

    def eligible(self, batch: RaggedBatch) -> NDArray[np.bool_] | None:
        """Return which candidates may be shown, bool (N,). None if all may."""
        allowed = self._open(batch)
        seen = self._seen(batch)
        if seen is None or not seen.any():
            return allowed
        fresh = ~seen if allowed is None else allowed & ~seen
        waived = np.bincount(batch.request_of()[fresh], minlength=len(batch)) == 0
        if waived.any():
            fresh |= waived[batch.request_of()] & (True if allowed is None else allowed)
        return fresh

    def _open(self, batch: RaggedBatch) -> NDArray[np.bool_] | None:
        if self._config.closed is None:
            return None
        if self._closed is not None:
            return ~(item_values(batch, self._config.closed, self._closed) > 0)
        return np.asarray(batch.candidates[self._config.closed] <= 0)

    def _seen(self, batch: RaggedBatch) -> NDArray[np.bool_] | None:
        rule = self._config.seen
        if rule is None:
            return None
        history, at_s = batch.requests[rule.history], batch.requests[rule.at_s]
        now_s = batch.requests[rule.now_s]
        assert isinstance(history, RaggedArray)
        assert isinstance(at_s, RaggedArray)
        assert isinstance(now_s, np.ndarray)
        owner = np.repeat(np.arange(len(batch), dtype=np.int64), history.lengths)
        recent = at_s.values >= now_s[owner] - rule.within_days * _DAY_S
        keys = batch.candidates.get(KEYS)
        if keys is None:
            rows = self._catalogue.rows_of_keys(history.values[recent])
            candidates, items = batch.rows, len(self._catalogue)
        else:  # items that were sent with the request have keys, but may have no rows
            ordered = np.unique(keys)
            rows = np.searchsorted(ordered, history.values[recent]).clip(max=len(ordered) - 1)
            rows[ordered[rows] != history.values[recent]] = -1
            candidates, items = np.searchsorted(ordered, keys), len(ordered)
        seen_pairs = np.sort(owner[recent][rows >= 0] * items + rows[rows >= 0])
        if not len(seen_pairs):
            return None
        pairs = batch.request_of() * items + candidates
        nearest = seen_pairs.take(np.searchsorted(seen_pairs, pairs), mode="clip")
        return np.asarray(nearest == pairs)


def within_cap(
    groups: NDArray[np.int64], request_of: NDArray[np.int64], max_per_group: int
) -> NDArray[np.bool_]:
    """Return which candidates are among the first ``max_per_group`` in their group and request, bool (N,)."""
    order = np.lexsort((groups, request_of))  # stable: candidates of one group stay in order
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (np.diff(groups[order]) != 0) | (np.diff(request_of[order]) != 0)
    position = np.arange(len(order)) - np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
    is_within = np.empty(len(order), dtype=bool)
    is_within[order] = position < max_per_group
    return is_within


def _scalars(catalogue: Catalogue, name: str, field: str) -> NDArray[Any]:
    column = catalogue.columns.get(name)
    if column is None or column.ndim != 1:
        raise ConfigError(
            f"the catalogue has no column {name!r} with one number per item; name one of "
            f"{', '.join(catalogue.columns)}",
            field=field,
        )
    return np.asarray(column)


def _expect(name: str, by_column: Mapping[str, Feature], field: str, *, ragged: bool) -> None:
    """Check that ``name`` is a feature with one number or, if ``ragged``, with a sequence of numbers."""
    of_requests = not field.endswith("closed")
    suitable = [
        column
        for column, feature in by_column.items()
        if feature.ragged == ragged and not feature.shape and (feature.group in PER_CANDIDATE) != of_requests
    ]
    if name not in suitable:
        why = (
            f"does not hold {'a sequence of numbers' if ragged else 'one number'} per "
            f"{'request' if of_requests else 'candidate'}"
            if name in by_column
            else "is not defined"
        )
        raise ConfigError(
            f"feature {name!r} {why}; suitable features: {', '.join(sorted(suitable)) or 'none'}",
            field=field,
        )


def _may_rule(feature: Feature) -> bool:
    return feature.group != "item" and not feature.is_text
