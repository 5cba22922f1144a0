"""The feature view: reads and computes a batch's feature columns, for each request's time.

Training and serving both use the view, so they compute the same numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.features.catalogue import Catalogue
from models.features.definition import CELL, PER_CANDIDATE, Feature, FeatureSet
from models.features.live import LiveColumns, LiveItems
from models.features.overlay import Overlay
from models.features.rows import KeyedGroup, Row, UserRowCodec
from models.features.sent import item_values, known_rows
from models.features.transforms import NOW, Transform, transformed
from models.ragged import Column, RaggedArray, RaggedBatch


class FeatureView:
    """A pipeline's features over one catalogue, with the current overlay and live item features."""

    def __init__(self, features: FeatureSet, catalogue: Catalogue, overlay: Overlay | None = None) -> None:
        """Prepare codecs and columns once.

        Without an overlay, global and cell features have their defaults. Live features have their defaults until
        ``live`` is set.

        Raises:
            ArtifactError: there are cell features, but the catalogue has no integer column "cell".
        """
        self.features = features
        self.catalogue = catalogue
        self.codecs: dict[KeyedGroup, UserRowCodec] = {
            group: UserRowCodec(features, group) for group in ("user", "realtime")
        }
        self.overlay = Overlay.empty() if overlay is None else overlay
        """It may be replaced by a newer overlay at any time, because each batch reads this attribute only once.

        The same holds for ``live``.
        """
        self.live = LiveColumns(LiveItems.none(features), features, catalogue)
        self._live = features.supplied("live")
        self._globals, self._cells = features.supplied("global"), features.supplied("cell")
        derived = [f for f in features.derived if f.group != "item"]  # item features are in the catalogue
        self._derived = [(f, f.transform) for f in derived if f.transform is not None]
        self._cell_of_row: NDArray[Any] | None = None
        if self._cells:
            column = catalogue.columns.get(CELL)
            if column is None or column.dtype.kind != "i" or column.ndim != 1:
                raise ArtifactError(
                    f"catalogue {catalogue.manifest.name} has no integer column {CELL!r}, which the features in group "
                    f"cell need; build it with this column, and use -1 for items in no cell"
                )
            self._cell_of_row = np.asarray(column)

    def decoded(
        self, batch: RaggedBatch, rows: Mapping[KeyedGroup, Sequence[Row | None]]
    ) -> tuple[RaggedBatch, dict[KeyedGroup, list[int]]]:
        """Return the batch with all its features, from each group's stored rows (B,).

        Returns:
            The batch, and the indices of unreadable rows by group. These users' features have the defaults.
        """
        now_s = _request_times(batch)
        columns: dict[str, Column] = {}
        unreadable: dict[KeyedGroup, list[int]] = {}
        for group, values in rows.items():
            decoded = self.codecs[group].decode(values, now_s)
            columns |= decoded.columns
            if decoded.unreadable:
                unreadable[group] = decoded.unreadable
        return self.completed(batch.adding(requests=columns)), unreadable

    def of_unknown_users(self, batch: RaggedBatch) -> RaggedBatch:
        """Return the batch with all its features, for users without stored rows."""
        return self.decoded(batch, {group: [None] * len(batch) for group in self.codecs})[0]

    def completed(self, batch: RaggedBatch) -> RaggedBatch:
        """Return the batch with its global, cell, live and derived columns.

        The batch must have the context and the users' stored features. A column that already exists, such as one from
        the served log, stays unchanged.
        """
        if not (self._globals or self._cells or self._live or self._derived):
            return batch
        now_s = _request_times(batch)
        requests: dict[str, Column] = dict(batch.requests)
        candidates: dict[str, NDArray[Any]] = dict(batch.candidates)
        request_of = batch.request_of() if self._cells else None
        if now_s is not None and (self._globals or self._cells):
            overlay = self.overlay
            requests |= overlay.global_columns(_absent(self._globals, requests), now_s)
            if self._cell_of_row is not None and request_of is not None:
                absent = _absent(self._cells, candidates)
                cell = item_values(batch, "item.cell", self._cell_of_row).astype(np.int64)
                candidates |= overlay.cell_columns(absent, now_s, cell, request_of)
        candidates |= self.live_columns(_absent(self._live, candidates), batch)
        for feature, transform in self._derived:
            if feature.group in PER_CANDIDATE:
                if feature.column not in candidates:
                    candidate_now_s = None if now_s is None or request_of is None else now_s[request_of]
                    values = transformed(transform, candidates[transform.of], candidate_now_s)
                    candidates[feature.column] = values.astype(feature.dtype)
            elif feature.column not in requests:
                requests[feature.column] = _derived(feature, transform, requests[transform.of], now_s)
        return batch.adding(requests=requests, candidates=candidates)

    def live_columns(self, features: Sequence[Feature], batch: RaggedBatch) -> dict[str, NDArray[Any]]:
        """Return live features of the candidates. Items outside the catalogue have the defaults."""
        rows, unknown = known_rows(batch)
        columns = self.live.columns(features, rows)
        if unknown is not None:
            for feature in features:
                columns[feature.column][unknown] = feature.default_value()
        return columns


def _absent(features: Sequence[Feature], columns: Mapping[str, object]) -> list[Feature]:
    return [feature for feature in features if feature.column not in columns]


def _request_times(batch: RaggedBatch) -> NDArray[np.float64] | None:
    now_s = batch.requests.get(NOW)
    return now_s if isinstance(now_s, np.ndarray) else None


def _derived(
    feature: Feature, transform: Transform, source: Column, now_s: NDArray[np.float64] | None
) -> Column:
    if not isinstance(source, RaggedArray):
        return transformed(transform, source, now_s).astype(feature.dtype)
    if now_s is not None and NOW in transform.inputs:
        now_s = np.repeat(now_s, np.diff(source.offsets))
    return RaggedArray(transformed(transform, source.values, now_s).astype(feature.dtype), source.offsets)
