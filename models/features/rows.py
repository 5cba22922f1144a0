"""User rows: a user's features as one compact value of a key-value store.

Layout: 8 bytes of the feature set's hash, one packed structured record of the fixed-shape features,
one uint32 length per ragged feature, then the ragged values end to end. A whole batch is decoded
without a Python object per feature.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import FeatureMismatch
from models.features.definition import FeatureSet
from models.ragged import Column, RaggedArray, offsets_of

_HASH_BYTES = 8


class UserRowCodec:
    """Encodes and decodes the user features of one feature set."""

    def __init__(self, features: FeatureSet) -> None:
        """Prepare the record layout of the set's user features."""
        users = features.group("user")
        self.tag = bytes.fromhex(features.content_hash)[:_HASH_BYTES]
        self._fixed = tuple(f for f in users if not f.ragged)
        self._ragged = tuple(f for f in users if f.ragged)
        fields: list[tuple[str, str, tuple[int, ...]]] = [(f.name, f.dtype, f.shape) for f in self._fixed]
        fields += [(f"#{f.name}", "uint32", ()) for f in self._ragged]
        self._record = np.dtype(fields)
        self._head_bytes = _HASH_BYTES + self._record.itemsize
        default = np.zeros((), dtype=self._record)
        for feature in self._fixed:
            default[feature.name] = feature.default_value()
        self.default_row = self.tag + default.tobytes()

    def encode(self, user: Mapping[str, NDArray[Any]]) -> bytes:
        """Encode one user; a missing feature takes its default, a long sequence keeps its newest values."""
        record = self._records(self.default_row[_HASH_BYTES:], 1).copy()
        for feature in self._fixed:
            if feature.name in user:
                record[feature.name][0] = user[feature.name]
        tails = []
        for feature in self._ragged:
            values = np.asarray(user.get(feature.name, ()), dtype=feature.dtype)[-feature.max_length :]
            record[f"#{feature.name}"][0] = len(values)
            tails.append(values.reshape(len(values), *feature.shape).tobytes())
        return b"".join((self.tag, record.tobytes(), *tails))

    def decode(self, values: Sequence[bytes | memoryview | None]) -> dict[str, Column]:
        """Decode B values into per-request columns "user.<name>"; None gives the defaults.

        Raises:
            FeatureMismatch: a value was written with another feature set.
        """
        rows = [self.default_row if value is None else value for value in values]
        head = self._head_bytes
        for row in rows:
            if row[:_HASH_BYTES] != self.tag:
                raise FeatureMismatch(
                    f"a stored user row has feature hash {bytes(row[:_HASH_BYTES]).hex()}, this pipeline's is "
                    f"{self.tag.hex()}: load the store again with the present definitions"
                )
        heads = self._records(b"".join([row[_HASH_BYTES:head] for row in rows]), len(rows))
        columns: dict[str, Column] = {f"user.{f.name}": heads[f.name].copy() for f in self._fixed}
        starts = [head] * len(rows)
        for feature in self._ragged:
            lengths = heads[f"#{feature.name}"].astype(np.int64)
            width = np.dtype(feature.dtype).itemsize * int(np.prod(feature.shape, dtype=np.int64))
            ends = [start + int(n) * width for start, n in zip(starts, lengths, strict=True)]
            body = b"".join([row[a:b] for row, a, b in zip(rows, starts, ends, strict=True)])
            flat = np.frombuffer(body, dtype=feature.dtype).reshape(-1, *feature.shape)
            columns[f"user.{feature.name}"] = RaggedArray(flat, offsets_of(lengths))
            starts = ends
        return columns

    def _records(self, data: bytes, count: int) -> NDArray[Any]:
        """Give the records that lie in ``data``; a pipeline without user features has empty ones."""
        if self._record.itemsize == 0:
            return np.zeros(count, dtype=self._record)
        return np.frombuffer(data, dtype=self._record)
