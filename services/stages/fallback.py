"""Answers to requests that the ranker cannot serve in time. They come from a smaller model, or else from memory.

Two kinds of lists are in memory: precomputed lists for some users, and the popular items in every cell. Neither needs a
model or a store. The rules that are the same for every user apply: closed items are left out, and lists obey the cap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.features.catalogue import Catalogue
from models.features.sent import KEYS
from models.features.view import FeatureView
from models.ragged import RaggedBatch
from services.errors import ConfigError
from services.stages.base import Stage, Why
from services.stages.candidates import CandidateSource, NearSource
from services.stages.context import ContextLayout
from services.stages.popular import PopularConfig, PopularItems
from services.stages.query import Query, merge_queries
from services.stages.sent_items import ItemLayout


class FallbackConfig(BaseModel):
    """The alternatives to the ranker.

    Attributes:
        model: the name of a model that replaces the ranker.
        output: the model output that is the score.
        lists: Parquet file with the columns ``user_id`` and ``items`` (a list of item ids, best first).
        popular: how to find the popular items.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = None
    output: str = "score"
    lists: str | None = None
    popular: PopularConfig = PopularConfig()


class OrderStage(Stage, Protocol):
    """Orders an answer from memory. Besides scores, it reads only ``columns``, which are the same for every user."""

    @property
    def columns(self) -> frozenset[str]:
        """The candidate columns that the order reads."""
        ...


class MemoryAnswers:
    """Finished answers from memory: the user's own list if there is one, then the popular items nearby."""

    def __init__(
        self,
        lists: Mapping[bytes, NDArray[np.int64]],
        popular: PopularItems,
        source: CandidateSource,
        layout: ContextLayout,
        view: FeatureView,
        order: OrderStage,
        items: ItemLayout,
    ) -> None:
        """Prepare the answers.

        Args:
            lists: catalogue rows by user, best first.
            popular: the popular items in every cell.
            source: finds the cell of a request without candidates, if the source is a ``NearSource``.
            layout: the layout of the context features.
            view: the release's features.
            order: orders the candidates.
            items: the catalogue's items.
        """
        self._items = items
        self._lists = lists
        self._popular = popular
        self._nearest = source.nearest if isinstance(source, NearSource) else None
        self._layout = layout
        self._view = view
        self._order = order

    def __call__(self, queries: Sequence[Query], release: str, why: Why) -> RaggedBatch:
        """Answer the queries. Candidates that a caller named are ordered by their popularity."""
        listed = [
            i for i, query in enumerate(queries) if query.rows is None and query.user_key in self._lists
        ]
        answered = list(queries)
        if listed:
            # Popular items follow the user's own list, which may be short or consist of closed items only.
            context = self._layout.columns([queries[i].context for i in listed])
            for i, popular in zip(listed, self.draw(context, len(listed)), strict=True):
                own_rows = self._lists[queries[i].user_key]
                rows = np.concatenate([own_rows, popular[~np.isin(popular, own_rows)]])
                answered[i] = replace(queries[i], rows=rows)
        batch = self._with_columns(merge_queries(answered, release, self._layout, self, self._items))
        scores = self._popular.scores(batch)
        for i in listed:
            first, last = batch.offsets[i], batch.offsets[i + 1]
            scores[first:last] = 1.0 / np.arange(1, last - first + 1)
        batch = self._order(batch.adding(candidates={"score": scores}))
        unlisted = sorted(set(range(len(batch))) - set(listed))
        for rung, requests in (("list", listed), ("popular", unlisted)):
            if requests:
                batch = batch.missing(f"ranker:{rung}:{why}", requests)
        # No features were read for this batch, so none are logged. The log needs the keys of items that were sent.
        kept = {name: column for name, column in batch.candidates.items() if name in ("score", KEYS)}
        return replace(batch, requests={}, candidates=kept)

    def _with_columns(self, batch: RaggedBatch) -> RaggedBatch:
        """Return the batch with the columns that the order needs, usually a few live item features."""
        needed = self._order.columns
        live = [feature for feature in self._view.features.supplied("live") if feature.column in needed]
        if len(live) < len(needed):
            return self._view.of_unknown_users(batch)
        return batch.adding(candidates=self._view.live_columns(live, batch)) if live else batch

    def draw(self, context: Mapping[str, NDArray[np.float64]], requests: int) -> NDArray[np.int64]:
        """Return the popular items of each request's cell, as a ``CandidateSource`` does."""
        if self._nearest is None:
            return self._popular.anywhere(requests)
        return self._popular.near(self._nearest(context))


def read_lists(path: Path, catalogue: Catalogue) -> dict[bytes, NDArray[np.int64]]:
    """Return catalogue rows by user, each item once.

    Items that are not in the catalogue and users without any item are left out.

    Raises:
        ConfigError: the file cannot be read, or its columns have other types.
    """
    try:
        table = pq.read_table(path, columns=["user_id", "items"])
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}); use a Parquet file with user_id, and items as a list of ids",
            field="fallback.lists",
        ) from error
    users, items = table["user_id"], table["items"]
    if not (_is_text(users.type) and _is_list(items.type) and _is_text(items.type.value_type)):
        raise ConfigError(
            f"{path}: wrong column types, got user_id {users.type} and items {items.type}; use text for user_id and "
            f"lists of text for items",
            field="fallback.lists",
        )
    row_by_id = catalogue.row_by_id
    rows = (
        [row_by_id[item] for item in dict.fromkeys(item_ids or ()) if item in row_by_id]
        for item_ids in items.to_pylist()
    )
    return {
        user.encode(): np.array(user_rows, dtype=np.int64)
        for user, user_rows in zip(users.to_pylist(), rows, strict=True)
        if user_rows and user is not None
    }


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
