"""Ids of many parts and tables, as numbers. Ids are dictionary-encoded, so that no id is a Python object."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


class Ids:
    """Dictionary-encoded ids of many parts."""

    def __init__(self) -> None:
        """Begin without ids."""
        self._chunks: list[pa.Array] = []

    def add(self, ids: pa.Array) -> None:
        """Add the ids of a part."""
        self.add_encoded(ids.dictionary_encode())

    def add_encoded(self, ids: pa.DictionaryArray) -> None:
        """Add the ids of a part, which are codes of a dictionary."""
        self._chunks.append(ids)

    def numbered(self) -> tuple[pa.Array, NDArray[np.int32]]:
        """Return the ids in order, and the number of each added id. The added ids are then forgotten."""
        whole = pa.chunked_array(
            self._chunks, type=pa.dictionary(pa.int32(), pa.string())
        ).unify_dictionaries()
        self._chunks.clear()
        if not whole.num_chunks:
            return pa.array([], pa.string()), np.empty(0, dtype=np.int32)
        known = whole.chunk(0).dictionary
        order = np.asarray(pc.sort_indices(known))
        rank = np.empty(len(order), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        codes = np.concatenate([np.asarray(chunk.indices) for chunk in whole.chunks])
        return known.take(pa.array(order)), rank[codes]


def together(seen: pa.Array, described: pa.Array) -> tuple[pa.Array, NDArray[np.int32]]:
    """Return all ids in order, and the new number of each id in ``seen``."""
    new = described.filter(pc.invert(pc.is_in(described, value_set=seen)))
    both = pa.concat_arrays([seen, new])
    order = np.asarray(pc.sort_indices(both))
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return both.take(pa.array(order)), rank[: len(seen)]
