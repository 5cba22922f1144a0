"""Keys of users' pasts: what was read to encode one, so that one that has changed is another.

A key is of the artifact, of the stored events as bytes, and of the moment that they are aged from, in steps of
``max_age_s``. So feedback that reaches the user's stored row makes another key, on every replica at once, and nobody is
told of anything. Within a step ages stay as they were when the past was encoded: less than ``max_age_s`` out.
"""

import hashlib
import math
from collections.abc import Sequence

from models.features.definition import FeatureSet
from models.features.transforms import NOW
from models.ragged import RaggedBatch


class HistoryKeys:
    """Keys of the pasts in a batch, from the columns that encoding reads."""

    def __init__(self, columns: Sequence[str], features: FeatureSet, version: str, max_age_s: float) -> None:
        """columns: "<group>.<name>". What follows from the moment is replaced by what it follows from."""
        by_column = {feature.column: feature for feature in features.features}
        self._is_aged = False
        roots: dict[str, None] = {}
        pending = list(columns)
        while pending:
            name = pending.pop(0)
            feature = by_column.get(name)
            transform = None if feature is None else feature.transform
            if name == NOW:
                self._is_aged = True
            elif transform is None:
                roots[name] = None
            else:
                pending += transform.inputs
        self._roots = list(roots)
        self._version = version.encode()
        self._max_age_s = max_age_s

    def __call__(self, batch: RaggedBatch) -> list[bytes]:
        """Give a key a request; equal keys are of pasts that are encoded alike, but for their ages."""
        columns = [batch.requests[name] for name in self._roots]
        moments = batch.requests[NOW] if self._is_aged else None
        keys: list[bytes] = []
        for request in range(len(batch)):
            told = hashlib.blake2b(self._version, digest_size=16)
            for column in columns:
                values = column[request]
                told.update(b"%d|" % values.size)  # else the end of one could be the beginning of the next
                told.update(values.tobytes())
            key = told.digest()
            if moments is not None:
                # Every past has steps of its own: else all of them would have to be encoded again at once.
                phase = int.from_bytes(key[:4], "big") / 2**32
                key += b"%d" % math.floor(moments[request] / self._max_age_s + phase)
            keys.append(key)
        return keys


def column_of(source: str) -> str:
    """Give the column of requests that an input reads: ``user.history`` of ``item.start@user.history:list``."""
    base = source.partition(":")[0]
    return base.partition("@")[2] or base
