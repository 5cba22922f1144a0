"""Rows of the served log: answered lists and feedback, and how many of them become a table."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.features.definition import FeatureSet
from models.ragged import RaggedBatch
from models.served_log.schema import PER_CANDIDATE_SOURCES, Event, lists_schema, logged
from models.served_log.writing import Feedback, ShownLists, feedback_table, lists_table


class ShownRow(NamedTuple):
    """One answered list: request ``request`` of the batch. keys: of all the catalogue's items."""

    batch: RaggedBatch
    request: int
    request_id: str
    user_id: str
    at_s: float
    features: FeatureSet
    keys: NDArray[np.int64]

    def is_empty(self) -> bool:
        """Whether nothing was shown."""
        return bool(self.batch.offsets[self.request] == self.batch.offsets[self.request + 1])


class FeedbackRow(NamedTuple):
    """What a user did with an item of a list."""

    request_id: str
    key: int
    event: Event
    value: float
    at_s: float


class ListsMaker:
    """Makes tables of the lists of one release."""

    def __init__(self, features: FeatureSet) -> None:
        """Find what is logged; a table takes a fraction of the time that this takes."""
        self._features = features
        self._schema = lists_schema(features)
        names = list(logged(features))
        self._of_requests = [name for name in names if not name.startswith(PER_CANDIDATE_SOURCES)]
        self._of_candidates = [name for name in names if name.startswith(PER_CANDIDATE_SOURCES)]

    def fits(self, batch: RaggedBatch) -> bool:
        """Whether the batch has every feature that is logged; a fallback's answer may have none."""
        return all(name in batch.requests for name in self._of_requests) and all(
            name in batch.candidates for name in self._of_candidates
        )

    def table(self, rows: Sequence[ShownRow]) -> pa.Table:
        """Give lists as a table; their batches fit."""
        parts = []
        for _, same in itertools.groupby(rows, key=lambda row: id(row.batch)):
            of_batch = list(same)
            parts.append(self._part(of_batch[0].batch, [row.request for row in of_batch]))
        batch = RaggedBatch.concatenate(parts)
        positions = np.arange(batch.candidate_count) - np.repeat(batch.offsets[:-1], np.diff(batch.offsets))
        shown = ShownLists(
            batch=batch,
            keys=rows[0].keys[batch.rows],
            scores=batch.candidates["score"],
            positions=positions.astype(np.int32),
            request_ids=[row.request_id for row in rows],
            user_ids=[row.user_id for row in rows],
            at_s=np.array([row.at_s for row in rows]),
        )
        return lists_table(shown, self._features, self._schema)

    def _part(self, batch: RaggedBatch, requests: Sequence[int]) -> RaggedBatch:
        """Give the listed requests with what is logged of them alone."""
        bare = RaggedBatch(
            offsets=batch.offsets,
            rows=batch.rows,
            requests={name: batch.requests[name] for name in self._of_requests},
            candidates={name: batch.candidates[name] for name in ("score", *self._of_candidates)},
            release=batch.release,
        )
        whole = list(requests) == list(range(len(batch)))
        return bare if whole else bare.take(np.array(requests, dtype=np.int64))


def feedback_rows_table(rows: Sequence[FeedbackRow]) -> pa.Table:
    """Give feedback as a table."""
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
