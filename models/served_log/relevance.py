"""The relevance of shown items, from the feedback of users."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.served_log.kinds import FeedbackConfig
from models.served_log.writing import ShownLists


def strings(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """Return a column of strings as an array."""
    return np.asarray(column.to_pylist(), dtype=object)


def relevance_of(shown: ShownLists, feedback: pa.Table, config: FeedbackConfig) -> NDArray[np.float32]:
    """Return the relevance of each candidate, float32 (N,): that of its highest event."""
    events, values = strings(feedback["event"]), feedback["value"].to_numpy()
    relevance = np.zeros(len(events))
    for kind in set(events.tolist()):
        of_kind = events == kind
        relevance[of_kind] = config.relevance(kind, values[of_kind])
    # The code for an item in a list combines the list number and the key number.
    known_keys = np.unique(shown.keys)
    request = pc.index_in(feedback["request_id"], pa.array(shown.request_ids, pa.string()))
    request_of = request.fill_null(-1).to_numpy()
    keys = feedback["key"].to_numpy()
    key_of = np.searchsorted(known_keys, keys).clip(max=max(len(known_keys) - 1, 0))
    valid = (
        (request_of >= 0) & (known_keys[key_of] == keys)
        if len(known_keys)
        else np.zeros(len(keys), dtype=bool)
    )
    codes, index = np.unique((request_of * len(known_keys) + key_of)[valid], return_inverse=True)
    highest = np.zeros(len(codes))
    np.maximum.at(highest, index, relevance[valid])
    shown_codes = shown.batch.request_of() * len(known_keys) + np.searchsorted(known_keys, shown.keys)
    labels = np.zeros(len(shown_codes), dtype=np.float32)
    if len(codes):
        position = np.searchsorted(codes, shown_codes).clip(max=len(codes) - 1)
        labels = np.where(codes[position] == shown_codes, highest[position], 0.0).astype(np.float32)
    return labels
