"""Segments: consecutive events of one file, read and checked. They are kept on disk, so that they are read once only.

A segment has everything that later passes need: the ids as codes of a dictionary, the numbers, and the counts of bad
rows. It also has the position in the file at which the next segment begins.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.datasets.files.problems import BadRows

_IDS = pa.dictionary(pa.int32(), pa.string())
_NUMBERS = {"at_s": pa.float64(), "value": pa.float32(), "relevance": pa.float32()}


@dataclass(frozen=True)
class Segment:
    """E events of one file.

    Attributes:
        user: E ids as codes of a dictionary.
        item: E ids as codes of a dictionary.
        at_s: float64 (E,), epoch seconds.
        value: float32 (E,).
        relevance: float32 (E,), from 0 to 1.
        bad: the rows that were left out.
        begin: where the reader of the file began.
        after: where the reader of the file continues. None: the file ends here.
        done: bytes of the file that were read so far, for progress.
    """

    user: pa.DictionaryArray
    item: pa.DictionaryArray
    at_s: NDArray[np.float64]
    value: NDArray[np.float32]
    relevance: NDArray[np.float32]
    bad: BadRows
    begin: Mapping[str, Any]
    after: Mapping[str, Any] | None
    done: int = 0

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.at_s)


@dataclass
class Gathered:
    """The events of a file since its last segment."""

    _users: list[pa.Array] = field(default_factory=list)
    _items: list[pa.Array] = field(default_factory=list)
    _numbers: dict[str, list[NDArray[Any]]] = field(default_factory=lambda: {name: [] for name in _NUMBERS})
    _count: int = 0

    def __len__(self) -> int:
        """Return the number of events."""
        return self._count

    def add(self, user: pa.Array, item: pa.Array, **numbers: NDArray[Any]) -> None:
        """Add events. The arguments are those of ``Segment``, with ids as texts."""
        self._users.append(user)
        self._items.append(item)
        for name, values in numbers.items():
            self._numbers[name].append(values)
        self._count += len(user)

    def segment(
        self, bad: BadRows, begin: Mapping[str, Any], after: Mapping[str, Any] | None, done: int
    ) -> Segment:
        """Return the events as a segment."""
        numbers = {
            name: np.concatenate([np.empty(0, kind.to_pandas_dtype()), *self._numbers[name]])
            for name, kind in _NUMBERS.items()
        }
        return Segment(
            _encoded(self._users),
            _encoded(self._items),
            **numbers,
            bad=bad,
            begin=begin,
            after=after,
            done=done,
        )


def batch_of(segment: Segment) -> pa.RecordBatch:
    """Return a segment as a batch."""
    described = {
        "begin": segment.begin,
        "after": segment.after,
        "done": segment.done,
        "counts": segment.bad.counts,
        "listed": segment.bad.listed,
        "until_s": segment.bad.until_s,
    }
    schema = pa.schema([("user", _IDS), ("item", _IDS), *_NUMBERS.items()])
    return pa.record_batch(
        [segment.user, segment.item, *(getattr(segment, name) for name in _NUMBERS)],
        schema=schema.with_metadata({"segment": json.dumps(described)}),
    )


def segment_of(batch: pa.RecordBatch) -> Segment:
    """Return the segment that is in a batch."""
    described = json.loads(batch.schema.metadata[b"segment"])
    return Segment(
        batch.column("user"),
        batch.column("item"),
        **{name: np.asarray(batch.column(name)) for name in _NUMBERS},
        bad=BadRows(
            counts=Counter(described["counts"]), listed=described["listed"], until_s=described["until_s"]
        ),
        begin=described["begin"],
        after=described["after"],
        done=described["done"],
    )


def _encoded(chunks: list[pa.Array]) -> pa.DictionaryArray:
    return pa.chunked_array(chunks, type=pa.string()).dictionary_encode().combine_chunks()
