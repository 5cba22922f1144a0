"""The schema of the served log, shared by its writer and its reader.

There are two kinds of Parquet files. The schema's metadata names the kind.

A lists file has one row per shown list, with the models' exact inputs and the order in the answer:

- request_id, at_s (epoch seconds), release and user_id.
- keys, scores and positions: one list each, in answer order. Positions count from 0.
- sent: null, except if the request sent some of these items with their features. Then it has their ids and the values
  with which they were scored, as ``models/served_log/sent.py`` encodes them.
- One column per feature, named by its source. user.*, realtime.*, context.* and global.* have one value or list per
  row. cell.* and live.* have a list with one value per candidate.

The metadata also has the features' content hash.

A feedback file has one row per event: request_id, key (of the item), event (the name of a kind of feedback), value
(from 0 to 1, or 1 if the kind takes none) and at_s. The schema does not depend on the features.

A candidate's relevance comes from its events, by the pipeline's ``feedback.kinds`` at the time of reading. The highest
relevance counts. Without events the relevance is 0.
"""

import numpy as np
import pyarrow as pa

from models.features.definition import PER_CANDIDATE, Feature, FeatureSet

KIND, FEATURE_HASH = b"rankway.kind", b"rankway.feature_hash"
LISTS, FEEDBACK = b"lists", b"feedback"
SENT = "sent"
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
    pa.field(SENT, pa.large_binary()),
]
_OF_FEEDBACK = [
    pa.field("request_id", pa.string(), nullable=False),
    pa.field("key", pa.int64(), nullable=False),
    pa.field("event", pa.string(), nullable=False),
    pa.field("value", pa.float32(), nullable=False),
    pa.field("at_s", pa.float64(), nullable=False),
]


def logged(features: FeatureSet) -> dict[str, Feature]:
    """Return the logged features by source: all except texts, and except item features, which are in the catalogue."""
    return {f"{f.group}.{f.name}": f for f in features.features if f.group != "item" and not f.is_text}


def lists_schema(features: FeatureSet) -> pa.Schema:
    """Return the schema for lists that were served with these definitions."""
    columns = [
        pa.field(name, _type_of(feature), nullable=False) for name, feature in logged(features).items()
    ]
    metadata = {KIND: LISTS, FEATURE_HASH: features.content_hash.encode()}
    return pa.schema([*IDENTITY, *SHOWN, *columns], metadata=metadata)


def feedback_schema() -> pa.Schema:
    """Return the schema for feedback."""
    return pa.schema(_OF_FEEDBACK, metadata={KIND: FEEDBACK})


def _type_of(feature: Feature) -> pa.DataType:
    value = pa.from_numpy_dtype(np.dtype(feature.dtype))
    if feature.shape:
        value = pa.list_(value, int(np.prod(feature.shape)))
    many = feature.ragged or feature.group in PER_CANDIDATE
    return pa.large_list(value) if many else value
