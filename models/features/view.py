"""The feature view: reads and computes a batch's feature columns, for each request's time.

Training and serving both use the view, so they compute the same numbers.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.features.catalogue import Catalogue
from models.features.definition import CELL, Feature, FeatureSet
from models.features.derived import Derived, with_sources
from models.features.live import LiveColumns, LiveItems
from models.features.overlay import Overlay
from models.features.overlay_columns import OverlayColumns
from models.features.row_decoder import Row, RowDecoder
from models.features.rows import KeyedGroup, UserRowCodec
from models.features.sent import known_rows
from models.features.transforms import NOW
from models.ragged import Column, RaggedBatch


class FeatureView:
    """A pipeline's features over one catalogue, with the current overlay and live item features.

    Attributes:
        columns: the columns that are computed. None: all of them.
        live: the live item features. A newer one may replace it at any time, because each batch reads it only once.
    """

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
        self.live = LiveColumns(LiveItems.none(features), features, catalogue)
        self._cell_of_row = _cells(catalogue) if features.supplied("cell") else np.empty(0, dtype=np.int64)
        cells = self._cell_of_row
        self._cell_range = (int(cells.min()), int(cells.max())) if len(cells) else (0, -1)
        self._overlay = Overlay.empty() if overlay is None else overlay
        self.limit_to(None)

    def limit_to(self, columns: Container[str] | None) -> None:
        """Compute only these columns from now on, and the columns from which they are derived. None: all."""
        features = self.features
        wanted = None if columns is None else with_sources(columns, features)
        self.columns = wanted
        self._decoders: dict[KeyedGroup, RowDecoder] = {
            group: codec.decoder if wanted is None else codec.decoder_of(wanted)
            for group, codec in self.codecs.items()
        }
        self._live = _wanted(features.supplied("live"), wanted)
        self._overlaid_features = _wanted((*features.supplied("global"), *features.supplied("cell")), wanted)
        self._cells = [f.column for f in self._overlaid_features if f.group == "cell"]
        derived = [f for f in features.derived if f.group != "item"]  # item features are in the catalogue
        self._derived = [Derived.of(feature) for feature in _wanted(derived, wanted)]
        self.overlay = self._overlay

    @property
    def overlay(self) -> Overlay:
        """The overlay. A newer one may replace it at any time, because each batch reads it only once."""
        return self._overlay

    @overlay.setter
    def overlay(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self._overlaid = OverlayColumns(overlay, self._overlaid_features)

    def decoded(
        self, batch: RaggedBatch, rows: Mapping[KeyedGroup, Sequence[Row | None]]
    ) -> tuple[RaggedBatch, dict[KeyedGroup, list[int]]]:
        """Return the batch with all its features, from each group's stored rows (B,).

        Returns:
            The batch, and the indices of unreadable rows by group. These users' features have the defaults.
        """
        now_s = _request_times(batch)
        columns: dict[str, Column] = dict(batch.requests)
        unreadable: dict[KeyedGroup, list[int]] = {}
        for group, values in rows.items():
            decoded = self._decoders[group](values, now_s)
            columns |= decoded.columns
            if decoded.unreadable:
                unreadable[group] = decoded.unreadable
        return self._completed(batch, columns), unreadable

    def of_unknown_users(self, batch: RaggedBatch) -> RaggedBatch:
        """Return the batch with all its features, for users without stored rows."""
        return self.decoded(batch, {group: [None] * len(batch) for group in self.codecs})[0]

    def completed(self, batch: RaggedBatch) -> RaggedBatch:
        """Return the batch with its global, cell, live and derived columns.

        The batch must have the context and the users' stored features. A column that already exists, such as one from
        the served log, stays unchanged.
        """
        return self._completed(batch, dict(batch.requests))

    def _completed(self, batch: RaggedBatch, requests: dict[str, Column]) -> RaggedBatch:
        """Return the completed batch. ``requests`` has the columns so far, and gets the others."""
        now_s = _request_times(batch)
        candidates: dict[str, NDArray[Any]] = dict(batch.candidates)
        if now_s is not None and self._overlaid_features:
            self._add_overlaid(batch, now_s, requests, candidates)
        candidates |= self.live_columns(_absent(self._live, candidates), batch)
        for derived in self._derived:
            if not derived.per_candidate:
                if derived.column not in requests:
                    requests[derived.column] = derived.of_requests(requests, now_s)
            elif derived.column not in candidates:
                candidates[derived.column] = derived.of_candidates(candidates, batch, now_s)
        return replace(batch, requests=requests, candidates=candidates)

    def _add_overlaid(
        self,
        batch: RaggedBatch,
        now_s: NDArray[np.float64],
        requests: dict[str, Column],
        candidates: dict[str, NDArray[Any]],
    ) -> None:
        overlaid = self._overlaid
        moments = overlaid.at(now_s)
        for column, values in overlaid.of_requests(moments).items():
            requests.setdefault(column, values)
        absent = [column for column in self._cells if column not in candidates]
        if absent:
            sent = candidates.get(f"item.{CELL}")
            cell = self._cell_of_row.take(batch.rows) if sent is None else sent
            low, high = self._cell_range
            inside = sent is None and low >= 0 and high < overlaid.cell_count
            candidates |= overlaid.of_candidates(absent, moments, cell, batch.lengths, all_inside=inside)

    def live_columns(self, features: Sequence[Feature], batch: RaggedBatch) -> dict[str, NDArray[Any]]:
        """Return live features of the candidates. Items outside the catalogue have the defaults."""
        if not features:
            return {}
        rows, unknown = known_rows(batch)
        columns = self.live.columns(features, rows)
        if unknown is not None:
            for feature in features:
                columns[feature.column][unknown] = feature.default_value()
        return columns


def _cells(catalogue: Catalogue) -> NDArray[Any]:
    column = catalogue.columns.get(CELL)
    if column is None or column.dtype.kind != "i" or column.ndim != 1:
        raise ArtifactError(
            f"catalogue {catalogue.manifest.name} has no integer column {CELL!r}, which the features in group "
            f"cell need; build it with this column, and use -1 for items in no cell"
        )
    return np.asarray(column)


def _wanted(features: Sequence[Feature], columns: Container[str] | None) -> list[Feature]:
    return [feature for feature in features if columns is None or feature.column in columns]


def _absent(features: Sequence[Feature], columns: Mapping[str, object]) -> list[Feature]:
    return [feature for feature in features if feature.column not in columns]


def _request_times(batch: RaggedBatch) -> NDArray[np.float64] | None:
    now_s = batch.requests.get(NOW)
    return now_s if isinstance(now_s, np.ndarray) else None
