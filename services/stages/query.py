"""Queries: admitted requests, and their merge into a ragged batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch, offsets_of
from services.errors import Unprocessable
from services.stages.candidates import CandidateSource
from services.stages.context import ContextLayout, EncodedContext


@dataclass(frozen=True, slots=True)
class Query:
    """An admitted request.

    Attributes:
        rows: int64 (n,) catalogue rows if the caller named candidates, else None.
    """

    user_key: bytes
    context: EncodedContext
    rows: NDArray[np.int64] | None
    deadline_s: float
    priority: int
    k: int


def rows_of_ids(ids: Sequence[str], catalogue: Catalogue, max_count: int) -> NDArray[np.int64]:
    """Return the catalogue rows for the candidates that a caller named, without duplicates, in the caller's order.

    Raises:
        Unprocessable: there are too many candidates, or one is not in the catalogue.
    """
    if len(ids) > max_count:
        raise Unprocessable(
            f"at most {max_count} are allowed, got {len(ids)}; send fewer",
            field="candidates",
        )
    row_by_id = catalogue.row_by_id
    try:
        return np.array([row_by_id[item_id] for item_id in dict.fromkeys(ids)], dtype=np.int64)
    except KeyError as error:
        index = next(i for i, item_id in enumerate(ids) if item_id not in row_by_id)
        raise Unprocessable(
            f"not in catalogue {catalogue.manifest.name} {catalogue.manifest.version}, got "
            f"{error.args[0][:80]!r}; send ids from this catalogue",
            field=f"candidates[{index}]",
        ) from error


def merge_queries(
    queries: Sequence[Query], release: str, layout: ContextLayout, source: CandidateSource
) -> RaggedBatch:
    """Merge queries into one ragged batch. Draw candidates for queries that name none."""
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
    return RaggedBatch(
        offsets=offsets_of(lengths),
        rows=rows,
        requests={
            **{f"context.{name}": column for name, column in context.items()},
            **layout.texts(contexts),
        },
        deadlines_s=np.array([query.deadline_s for query in queries]),
        priorities=np.array([query.priority for query in queries], dtype=np.int32),
        k=np.array([query.k for query in queries], dtype=np.int64),
        release=release,
        user_keys=[query.user_key for query in queries],
    )
