"""Answers to requests that the ranker cannot serve in time. They come from a smaller model, or else from memory.

Two kinds of lists are in memory: precomputed lists for some users, and the popular items in every cell. Neither needs a
model or a store. The rules that are the same for every user apply: closed items are left out, and lists obey the cap.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.features.sent import KEYS
from models.features.view import FeatureView
from models.ragged import RaggedBatch
from services.stages.base import Stage, Why
from services.stages.candidates import CandidateSource, NearSource
from services.stages.context import ContextLayout
from services.stages.popular import PopularConfig, PopularItems
from services.stages.query import Query, merge_queries
from services.stages.sent_items import ItemLayout
from services.stages.user_lists import UserLists


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
    """Finished answers from memory: the user's own list if there is one, then the popular items nearby.

    Attributes:
        lists: precomputed lists for some users.
        popular: the popular items in every cell.
    """

    def __init__(
        self,
        lists: UserLists,
        popular: PopularItems,
        source: CandidateSource,
        layout: ContextLayout,
        view: FeatureView,
        order: OrderStage,
        items: ItemLayout,
    ) -> None:
        """Prepare the answers.

        Args:
            lists: precomputed lists for some users.
            popular: the popular items in every cell.
            source: finds the cell of a request without candidates, if the source is a ``NearSource``.
            layout: the layout of the context features.
            view: the release's features.
            order: orders the candidates.
            items: the catalogue's items.
        """
        self._items = items
        self.lists = lists
        self.popular = popular
        self._nearest = source.nearest if isinstance(source, NearSource) else None
        self._layout = layout
        self._view = view
        self._order = order

    def __call__(self, queries: Sequence[Query], release: str, why: Why) -> RaggedBatch:
        """Answer the queries. Candidates that a caller named are ordered by their popularity."""
        own = {i: self.lists.of(query.user_key) for i, query in enumerate(queries) if query.rows is None}
        listed = [i for i, rows in own.items() if rows is not None]
        answered = list(queries)
        if listed:
            # Popular items follow the user's own list, which may be short or consist of closed items only.
            context = self._layout.columns([queries[i].context for i in listed])
            for i, popular in zip(listed, self.draw(context, len(listed)), strict=True):
                own_rows = own[i]
                assert own_rows is not None
                rows = np.concatenate([own_rows, popular[~np.isin(popular, own_rows)]])
                answered[i] = replace(queries[i], rows=rows)
        batch = self._with_columns(merge_queries(answered, release, self._layout, self, self._items))
        scores = self.popular.scores(batch)
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
            return self.popular.anywhere(requests)
        return self.popular.near(self._nearest(context))
