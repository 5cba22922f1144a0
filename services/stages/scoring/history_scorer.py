"""The ranker's scorer with a history cache. One call encodes all histories that are not cached.

A second call scores all candidates with the encoded histories, cached or new.
"""

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.assembly import InputAssembler
from models.atomic_directory import settled
from models.errors import RuntimeFailure
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.ragged import Column, RaggedArray, RaggedBatch
from models.runtimes import load_cut_runtime
from models.runtimes.golden import check_golden
from models.signature import column_of
from services.errors import ConfigError
from services.stages.scoring.history_cache import (
    FIELD,
    HistoryCacheConfig,
    HistoryKeys,
    LookupCounts,
    LruBytes,
)
from services.stages.scoring.micro_batches import in_micro_batches
from services.stages.scoring.scorer import ModelConfig, scores_of
from services.stages.scoring.turns import LoadCutRuntime


class HistoryScorer:
    """A scorer like ``ModelScorer``, but with the graph cut into encoder and scorer. Several threads may call it."""

    def __init__(
        self,
        config: ModelConfig,
        cache: HistoryCacheConfig,
        catalogue: Catalogue,
        features: FeatureSet,
        home: Path,
        counts: LookupCounts,
        load: LoadCutRuntime = load_cut_runtime,
    ) -> None:
        """Load, verify and cut the artifact, and run its golden requests through both halves.

        Raises:
            ConfigError: the model cannot be cut. Other errors are as for ``ModelScorer``.
        """
        self.is_warm = False
        root = settled(home / config.artifact)
        self.artifact = Artifact.load(root, feature_hash=catalogue.manifest.feature_hash)
        try:
            self._runtime = load(root, self.artifact, config.runtime)
        except RuntimeFailure as error:
            raise ConfigError(f"{error}; or leave out history_cache", field=FIELD) from error
        check_golden(root, self.artifact, self._runtime)
        encode, score = self._runtime.encode_signature, self._runtime.score_signature
        self._signatures = encode, score
        self._assemble_history = InputAssembler(encode, catalogue)
        self._assemble = InputAssembler(score, catalogue)
        self._columns = list(dict.fromkeys(column_of(spec.source) for spec in encode.inputs))
        lists = [column_of(s.source) for s in encode.inputs if s.source.endswith((":list", ":mask"))]
        self._history_column = lists[0] if lists else None
        self._keys = HistoryKeys(self._columns, features, self.artifact.version, cache.max_age_s)
        self._max_bytes = cache.max_bytes
        self.entries = LruBytes(cache.max_bytes)
        self._counts = counts
        self._micro_batch = config.micro_batch_candidates

    def over(self, catalogue: Catalogue) -> Self:
        """Return a scorer with the same loaded model and an empty cache, for a later state of the catalogue."""
        other = copy(self)
        encode, score = self._signatures
        other._assemble_history, other._assemble = (
            InputAssembler(encode, catalogue),
            InputAssembler(score, catalogue),
        )
        other.entries = LruBytes(
            self._max_bytes
        )  # the features of an encoded history's items may have changed
        return other

    def scores(self, batch: RaggedBatch, output: str) -> NDArray[np.float32]:
        """Return a model output, one number per candidate, as float32 (N,).

        Raises:
            StageFailed: the output has another shape.
        """
        return in_micro_batches(batch, self._micro_batch, lambda part: self._scores(part, output))

    def _scores(self, batch: RaggedBatch, output: str) -> NDArray[np.float32]:
        output_values = self._runtime.score(self._assemble(batch), stacked(self._encoded(batch)))[output]
        return scores_of(self.artifact, self._assemble, output_values, batch, output)

    def _encoded(self, batch: RaggedBatch) -> list[NDArray[Any]]:
        """Return each request's encoded history, (tokens, ...). Equal histories are encoded once."""
        keys = self._keys(batch)
        entries = {key: self.entries.get(key) for key in keys}
        first = {key: index for index, key in reversed(list(enumerate(keys))) if entries[key] is None}
        missed = sorted(first.values())
        if missed:
            for index, entry in zip(missed, self._encode(batch, missed), strict=True):
                entries[keys[index]] = entry
                evicted = self.entries.put(keys[index], entry)
                if evicted:
                    self._counts.add("evicted", evicted)
            self._counts.add("miss", len(missed))
        if len(keys) > len(missed):
            self._counts.add("hit", len(keys) - len(missed))
        return [entry for entry in (entries[key] for key in keys) if entry is not None]

    def _encode(self, batch: RaggedBatch, requests: list[int]) -> list[NDArray[Any]]:
        """Encode some requests' histories in one call. The results have no padding."""
        indices = np.array(requests, dtype=np.int64)
        columns = {name: _select(batch.requests[name], indices, len(batch)) for name in self._columns}
        no_candidates = np.zeros(len(requests) + 1, dtype=np.int64)
        histories = RaggedBatch(offsets=no_candidates, rows=no_candidates[:0], requests=columns)
        encoded = self._runtime.encode(self._assemble_history(histories))
        history = None if self._history_column is None else columns[self._history_column]
        if not isinstance(history, RaggedArray):
            return [row.copy() for row in encoded]
        lengths = history.lengths
        padding = (lengths.max() - lengths).tolist()
        return [row[: len(row) - pad_length].copy() for row, pad_length in zip(encoded, padding, strict=True)]


def stacked(entries: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return arrays (T_i, ...) as one array (B, longest T, ...). Shorter arrays are padded with zeros."""
    if len(entries) == 1:
        return entries[0][None]
    longest = max(len(entry) for entry in entries)
    if all(len(entry) == longest for entry in entries):
        return np.stack(entries)
    padded = np.zeros((len(entries), longest, *entries[0].shape[1:]), dtype=entries[0].dtype)
    for row, entry in zip(padded, entries, strict=True):
        row[: len(entry)] = entry
    return padded


def _select(column: Column, requests: NDArray[np.int64], count: int) -> Column:
    if len(requests) == count:
        return column
    return column.take(requests) if isinstance(column, RaggedArray) else column[requests]
