"""The columns of one overlay: for each request its newest snapshot, and for each candidate the value in its cell.

Everything that does not depend on the batch is prepared once for an overlay. Global features with the same type are
stacked, so that a batch gathers them with one call: seven features in 3 us.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.features.definition import Feature
from models.features.overlay import Overlay

Mask = NDArray[np.bool_] | None


class Moments(NamedTuple):
    """The snapshots of B requests.

    Attributes:
        snapshot: int64 (B,), the newest snapshot at or before each time, -1 if there is none.
        missing: masks (B,) by ``fresh_for_s``, True for times without a fresh snapshot. None if all times have one.
    """

    snapshot: NDArray[np.int64]
    missing: dict[float | None, Mask]


class _Stack(NamedTuple):
    """F global features with the same dtype, shape and freshness limit.

    Attributes:
        columns: their columns.
        values: (F, T, ...).
        default: (F, 1, ...).
    """

    columns: tuple[str, ...]
    limit: float | None
    values: NDArray[Any]
    default: NDArray[Any]


class OverlayColumns:
    """Reads global and cell features from one overlay."""

    def __init__(self, overlay: Overlay, features: Sequence[Feature]) -> None:
        """Prepare the ``features``. Those in other groups than global and cell are ignored."""
        self._overlay, self._count = overlay, overlay.cell_count
        global_features = [f for f in features if f.group == "global"]
        self._cells = {f.column: f for f in features if f.group == "cell"}
        self._limits = {f.fresh_for_s for f in (*global_features, *self._cells.values())}
        known = [f for f in global_features if len(overlay.globals.get(f.name, ()))]
        self._absent = [f for f in global_features if f not in known]
        kinds = dict.fromkeys((f.dtype, f.shape, f.fresh_for_s) for f in known)
        self._stacks = [
            _stack([f for f in known if (f.dtype, f.shape, f.fresh_for_s) == kind], overlay) for kind in kinds
        ]

    @property
    def cell_count(self) -> int:
        """Number of cells."""
        return self._count

    def at(self, now_s: NDArray[np.float64]) -> Moments:
        """Find the snapshots for requests at ``now_s`` (B,), epoch seconds."""
        times_s = self._overlay.times_s
        snapshot = times_s.searchsorted(now_s, side="right") - 1
        no_snapshot = snapshot < 0
        missing: dict[float | None, Mask] = {}
        for limit in self._limits:
            mask = no_snapshot
            if limit is not None and len(times_s):
                mask = no_snapshot | (now_s - times_s.take(snapshot, mode="wrap") > limit)
            missing[limit] = mask if mask.any() else None
        return Moments(snapshot, missing)

    def of_requests(self, moments: Moments) -> dict[str, NDArray[Any]]:
        """Return the columns "global.<name>" (B, ...).

        A value is the default if the request has no snapshot, or if its snapshot is older than ``fresh_for_s``.
        """
        count = len(moments.snapshot)
        columns = {f.column: f.default_values(count) for f in self._absent}
        for stack in self._stacks:
            values = stack.values.take(moments.snapshot, axis=1, mode="wrap")
            mask = moments.missing[stack.limit]
            if mask is not None:
                values[:, mask] = stack.default
            columns.update(zip(stack.columns, values, strict=True))
        return columns

    def of_candidates(
        self,
        columns: Sequence[str],
        moments: Moments,
        cell: NDArray[Any],
        lengths: NDArray[np.int64],
        *,
        all_inside: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """Return columns "cell.<name>" (N, ...) for the N candidates in B requests.

        Values are the default for the same reasons as in ``of_requests``, and for candidates outside all cells.

        Args:
            columns: names of columns.
            moments: the requests' snapshots.
            cell: integers (N,), the candidates' cells.
            lengths: int64 (B,), candidates by request.
            all_inside: whether it is known that all cells are cells of the overlay.
        """
        count = self._count
        outside = None if all_inside else (cell < 0) | (cell >= count)
        if outside is not None and not outside.any():
            outside = None
        masks = {
            limit: _either(None if mask is None else mask.repeat(lengths), outside)
            for limit, mask in moments.missing.items()
        }
        first = moments.snapshot * count
        index = cell + (first if len(first) == 1 else first.repeat(lengths))
        result: dict[str, NDArray[Any]] = {}
        for column in columns:
            feature = self._cells[column]
            values = self._overlay.cells.get(feature.name)
            flat = None if values is None else values.reshape(-1, *values.shape[2:])  # a view
            result[column] = _select(feature, flat, index, masks[feature.fresh_for_s])
        return result


def _stack(features: Sequence[Feature], overlay: Overlay) -> _Stack:
    return _Stack(
        tuple(f.column for f in features),
        features[0].fresh_for_s,
        np.stack([overlay.globals[f.name] for f in features]),
        np.stack([f.default_value() for f in features])[:, None],
    )


def _either(first: Mask, second: Mask) -> Mask:
    if first is None or second is None:
        return first if second is None else second
    return first | second


def _select(
    feature: Feature, values: NDArray[Any] | None, index: NDArray[np.int64], missing: Mask
) -> NDArray[Any]:
    """Return ``values[index]``, with the default for missing rows, or for all rows if there are no values."""
    if values is None or len(values) == 0:
        return feature.default_values(len(index))
    if missing is None:
        return values.take(index, axis=0)
    result = feature.default_values(len(index))
    present = ~missing
    result[present] = values.take(index[present], axis=0)
    return result
