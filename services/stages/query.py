"""Queries: admitted requests, and their merge into a ragged batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch, offsets_of
from services.stages.candidates import CandidateSource
from services.stages.context import ContextLayout, EncodedContext
from services.stages.sent_items import ItemLayout, SentCandidate, SentItems


class Query(msgspec.Struct, frozen=True):
    """An admitted request.

    Attributes:
        rows: int64 (n,) catalogue rows if the caller named candidates, else None.
        sent: the candidates that came with features. None if there are none.
    """

    user_key: bytes
    context: EncodedContext
    rows: NDArray[np.int64] | None
    deadline_s: float
    priority: int
    k: int
    sent: SentItems | None = None

    @property
    def new_ids(self) -> Sequence[str]:
        """The ids of candidates outside the catalogue."""
        return () if self.sent is None else self.sent.new_ids


def named_candidates(
    candidates: Sequence[SentCandidate], catalogue: Catalogue, layout: ItemLayout, max_count: int
) -> tuple[NDArray[np.int64], SentItems | None]:
    """Return the rows of the candidates that a caller named, without duplicates, in the caller's order.

    The second result has the candidates that came with features, None if all are ids.

    Raises:
        Unprocessable: there are too many candidates, one is not in the catalogue, or a feature is unknown.
    """
    row_by_id: Mapping[Any, int] = catalogue.row_by_id
    if len(candidates) <= max_count:
        try:
            return np.array(
                [row_by_id[item_id] for item_id in dict.fromkeys(candidates)], dtype=np.int64
            ), None
        except (KeyError, TypeError):  # an object cannot be a key
            pass
    return layout.read(candidates, max_count)


def merge_queries(
    queries: Sequence[Query],
    release: str,
    layout: ContextLayout,
    source: CandidateSource,
    items: ItemLayout | None = None,
) -> RaggedBatch:
    """Merge queries into one ragged batch. Draw candidates for queries that name none.

    Args:
        queries: the queries.
        release: the release's name.
        layout: the columns of a context.
        source: draws candidates.
        items: the items that ``source`` draws from. None: the catalogue has no deltas.
    """
    contexts = [query.context for query in queries]
    context = layout.columns(contexts)
    without_rows = [i for i, query in enumerate(queries) if query.rows is None]
    if len(without_rows) == len(queries):
        drawn = source.draw(context, len(queries))
        rows, lengths = drawn.reshape(-1), np.full(len(queries), drawn.shape[1], dtype=np.int64)
    else:
        parts = [query.rows for query in queries]
        if without_rows:
            their_context = {name: column[without_rows] for name, column in context.items()}
            for i, drawn_rows in zip(
                without_rows, source.draw(their_context, len(without_rows)), strict=True
            ):
                parts[i] = drawn_rows
        row_arrays = [part for part in parts if part is not None]
        rows, lengths = np.concatenate(row_arrays), np.array([len(part) for part in row_arrays])
    offsets = offsets_of(lengths)
    sent = [(int(offsets[i]), query.sent) for i, query in enumerate(queries) if query.sent is not None]
    return RaggedBatch(
        offsets=offsets,
        rows=rows,
        requests={
            **{f"context.{name}": column for name, column in context.items()},
            **layout.texts(contexts),
        },
        candidates=(items or sent[0][1].layout).columns(rows, *zip(*sent, strict=True)) if sent else {},
        deadlines_s=np.array([query.deadline_s for query in queries]),
        priorities=np.array([query.priority for query in queries], dtype=np.int32),
        k=np.array([query.k for query in queries], dtype=np.int64),
        release=release,
        catalogue="" if items is None else items.state,
        user_keys=[query.user_key for query in queries],
    )
