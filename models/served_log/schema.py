"""The schema of the served log; its writer and its reader share it.

Two kinds of Parquet file, told apart by their schema's metadata:

    lists      one row a shown list: what the models saw, as they saw it, and the order that was answered.
               request_id, at_s (epoch seconds), release, user_id; keys, scores, positions: a list each, in the
               answer's order (positions count from 0, as shown); and a column a feature, named by its source:
               user.*, realtime.*, context.*, global.* hold one value (or list) a row, cell.* and live.* a
               list with one value a candidate. The metadata also carry the features' content hash.
    feedback   one row an event: request_id, key (the item's), event (opened, walked, rated), value (the rating
               0 to 1; 1 for other events), at_s. Its schema outlives changes of the features.

Relevance of a candidate is that of its highest event: 0 nothing, 0.25 opened, 0.5 walked, 0.5 to 1 by the rating.
"""

from typing import Literal, get_args

import numpy as np
import pyarrow as pa

from models.features.definition import PER_CANDIDATE, Feature, FeatureSet

Event = Literal["opened", "walked", "rated"]
EVENTS: tuple[Event, ...] = get_args(Event)
OPENED, WALKED = 0.25, 0.5

KIND, FEATURE_HASH = b"rankway.kind", b"rankway.feature_hash"
LISTS, FEEDBACK = b"lists", b"feedback"
PER_CANDIDATE_SOURCES = tuple(f"{group}." for group in PER_CANDIDATE)

IDENTITY = [
    pa.field("request_id", pa.string(), nullable=False),
    pa.field("at_s", pa.float64(), nullable=False),
    pa.field("release", pa.string(), nullable=False),
    pa.field("user_id", pa.string(), nullable=False),
]
SHOWN = [
    pa.field("keys", pa.large_list(pa.int64()), nullable=False),
    pa.field("scores", pa.large_list(pa.float32()), nullable=False),
    pa.field("positions", pa.large_list(pa.int32()), nullable=False),
]
_OF_FEEDBACK = [
    pa.field("request_id", pa.string(), nullable=False),
    pa.field("key", pa.int64(), nullable=False),
    pa.field("event", pa.string(), nullable=False),
    pa.field("value", pa.float32(), nullable=False),
    pa.field("at_s", pa.float64(), nullable=False),
]


def logged(features: FeatureSet) -> dict[str, Feature]:
    """Give the features that a list's row holds, by source: all but the items', which the catalogue has, and texts."""
    return {f"{f.group}.{f.name}": f for f in features.features if f.group != "item" and not f.is_text}


def lists_schema(features: FeatureSet) -> pa.Schema:
    """Give the schema of files of lists served with these definitions."""
    columns = [
        pa.field(name, _type_of(feature), nullable=False) for name, feature in logged(features).items()
    ]
    metadata = {KIND: LISTS, FEATURE_HASH: features.content_hash.encode()}
    return pa.schema([*IDENTITY, *SHOWN, *columns], metadata=metadata)


def feedback_schema() -> pa.Schema:
    """Give the schema of files of feedback."""
    return pa.schema(_OF_FEEDBACK, metadata={KIND: FEEDBACK})


def _type_of(feature: Feature) -> pa.DataType:
    value = pa.from_numpy_dtype(np.dtype(feature.dtype))
    if feature.shape:
        value = pa.list_(value, int(np.prod(feature.shape)))
    many = feature.ragged or feature.group in PER_CANDIDATE
    return pa.large_list(value) if many else value
