"""Served log rows, which are answered lists and feedback, and the tables made from them."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.features.definition import FeatureSet
from models.features.sent import item_keys
from models.features.sent_table import SentValues
from models.ragged import RaggedBatch, gather_positions
from models.served_log.schema import PER_CANDIDATE_SOURCES, lists_schema, logged
from models.served_log.writing import Feedback, ShownLists, feedback_table, lists_table
from services.stages.sent_items import SentItems


class ShownRow(NamedTuple):
    """One answered list.

    Attributes:
        batch: the batch with the list.
        request: the index of the list's request in the batch.
        at_s: when the request was answered, in seconds since 1970.
        keys: (N,) int64, the keys of all catalogue items.
        sent: the request's candidates that came with features. None if there are none.
    """

    batch: RaggedBatch
    request: int
    request_id: str
    user_id: str
    at_s: float
    features: FeatureSet
    keys: NDArray[np.int64]
    sent: SentItems | None = None

    def is_empty(self) -> bool:
        """Return whether the list has no items."""
        return bool(self.batch.offsets[self.request] == self.batch.offsets[self.request + 1])


class FeedbackRow(NamedTuple):
    """A user's event for an item in an answered list.

    Attributes:
        event: the name of its kind.
    """

    request_id: str
    key: int
    event: str
    value: float
    at_s: float


class ListsMaker:
    """Makes tables from one release's lists."""

    def __init__(self, features: FeatureSet) -> None:
        """Determine the logged features once. This takes much longer than making a table."""
        self._features = features
        self._schema = lists_schema(features)
        names = list(logged(features))
        self._request_names = [name for name in names if not name.startswith(PER_CANDIDATE_SOURCES)]
        self._candidate_names = [name for name in names if name.startswith(PER_CANDIDATE_SOURCES)]

    def fits(self, batch: RaggedBatch) -> bool:
        """Return whether the batch has every logged feature. A fallback's answer may have none."""
        return all(name in batch.requests for name in self._request_names) and all(
            name in batch.candidates for name in self._candidate_names
        )

    def table(self, rows: Sequence[ShownRow]) -> pa.Table:
        """Return lists as a table. ``fits`` must be true for the batch of each list."""
        parts, keys = [], []
        for _, group in itertools.groupby(rows, key=lambda row: id(row.batch)):
            batch_rows = list(group)
            part, part_keys = self._part(batch_rows[0], [row.request for row in batch_rows])
            parts.append(part)
            keys.append(part_keys)
        batch = RaggedBatch.concatenate(parts)
        positions = np.arange(batch.candidate_count) - np.repeat(batch.offsets[:-1], batch.lengths)
        all_keys = np.concatenate(keys)
        shown = ShownLists(
            batch=batch,
            keys=all_keys,
            scores=batch.candidates["score"],
            positions=positions.astype(np.int32),
            request_ids=[row.request_id for row in rows],
            user_ids=[row.user_id for row in rows],
            at_s=np.array([row.at_s for row in rows]),
            sent=_sent(rows, batch.offsets, all_keys),
        )
        return lists_table(shown, self._features, self._schema)

    def _part(self, row: ShownRow, requests: Sequence[int]) -> tuple[RaggedBatch, NDArray[np.int64]]:
        """Return the listed requests of the row's batch with only their logged features, and their item keys."""
        batch = row.batch
        logged_batch = RaggedBatch(
            offsets=batch.offsets,
            rows=batch.rows,
            requests={name: batch.requests[name] for name in self._request_names},
            candidates={name: batch.candidates[name] for name in ("score", *self._candidate_names)},
            release=batch.release,
        )
        keys = item_keys(batch, row.keys)
        if list(requests) == list(range(len(batch))):
            return logged_batch, keys
        picked = np.array(requests, dtype=np.int64)
        return logged_batch.take(picked), keys[gather_positions(batch.offsets, picked)[0]]


def _sent(
    rows: Sequence[ShownRow], offsets: NDArray[np.int64], keys: NDArray[np.int64]
) -> list[SentValues | None]:
    """Return the sent items that each list shows. An empty list: no request sent any."""
    if all(row.sent is None for row in rows):
        return []
    return [
        None
        if row.sent is None
        else SentValues(row.sent.ids, row.sent.values).picked(row.sent.keys, keys[first:last])
        for row, first, last in zip(rows, offsets[:-1], offsets[1:], strict=True)
    ]


def feedback_rows_table(rows: Sequence[FeedbackRow]) -> pa.Table:
    """Return feedback as a table."""
    request_ids, keys, events, values, at_s = zip(*rows, strict=True)
    return feedback_table(
        Feedback(
            request_ids=request_ids,
            keys=np.array(keys, dtype=np.int64),
            events=events,
            values=np.array(values, dtype=np.float32),
            at_s=np.array(at_s),
        )
    )
