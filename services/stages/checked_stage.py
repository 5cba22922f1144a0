"""A check around another package's stage: the stage's result must still belong to the batch that the stage got."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from models.ragged import Column, RaggedArray, RaggedBatch
from services.errors import StageFailed
from services.wire import SCORES


class CheckedStage:
    """Runs a stage, and refuses a result that would give a request another request's candidates or scores."""

    def __init__(
        self,
        name: str,
        stage: Callable[[RaggedBatch], RaggedBatch],
        *,
        item_count: int,
        is_ranked: bool,
        waits: bool = False,
    ) -> None:
        """Wrap ``stage``.

        Args:
            name: the stage's name in timings, metrics and errors.
            stage: the other package's function.
            item_count: the number of rows in the catalogue.
            is_ranked: whether the stage's batches have scores.
            waits: whether the stage blocks on another process.
        """
        self.name, self.waits = name, waits
        self._stage, self._item_count, self._is_ranked = stage, item_count, is_ranked
        # A stage that waits for no other process may rely on one call at a time, however many model threads there are.
        self._turns: AbstractContextManager[object] = nullcontext() if waits else Lock()

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Run the stage on arrays that it cannot write to.

        The requests keep their deadlines, priorities, list lengths and users.

        Raises:
            StageFailed: the result does not belong to the batch.
        """
        read_only = _read_only(batch)
        with self._turns:
            result: Any = self._stage(read_only)
        if not isinstance(result, RaggedBatch):
            raise self._refused(f"no RaggedBatch, got {type(result).__name__}; return a RaggedBatch")
        for fault in self._faults(batch, result):
            raise self._refused(fault)
        return replace(
            result,
            offsets=_returned(result.offsets, read_only.offsets, batch.offsets),
            rows=_returned(result.rows, read_only.rows, batch.rows),
            requests=_returned_columns(result.requests, read_only.requests, batch.requests),
            candidates=_returned_columns(result.candidates, read_only.candidates, batch.candidates),
            deadlines_s=batch.deadlines_s,
            priorities=batch.priorities,
            k=batch.k,
            release=batch.release,
            user_keys=batch.user_keys,
            missed={**batch.missed, **result.missed},
        )

    def _refused(self, fault: str) -> StageFailed:
        return StageFailed(f"stage {self.name} returned {fault}")

    def _faults(self, batch: RaggedBatch, result: RaggedBatch) -> Iterator[str]:
        requests, offsets, rows = len(batch), np.asarray(result.offsets), np.asarray(result.rows)
        if offsets.shape != (requests + 1,):
            yield f"another number of requests, got {len(offsets) - 1}; return all {requests}, in the same order"
        if rows.ndim != 1 or rows.dtype != np.int64 or offsets.dtype != np.int64:
            yield f"rows or offsets of the wrong type, got {rows.dtype} and {offsets.dtype}; return int64"
        if offsets[0] != 0 or offsets[-1] != len(rows) or (np.diff(offsets) < 0).any():
            yield f"offsets that do not fit the {len(rows)} candidates; make them with RaggedBatch.keep"
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < self._item_count:
            yield f"rows that are not in the catalogue, got {rows.min()} to {rows.max()}; return rows in the catalogue"
        for name, column in result.candidates.items():
            if len(column) != len(rows):
                yield f"a column {name} of the wrong length, got {len(column)}; return {len(rows)}, one per candidate"
        for name, values in result.requests.items():
            if len(values) != requests:
                yield f"a column {name} of the wrong length, got {len(values)}; return {requests}, one per request"
        for name, flags in result.missed.items():
            if len(flags) != requests:
                yield f"a reason {name} of the wrong length, got {len(flags)}; return {requests}, one per request"
        if not batch.candidates.keys() <= result.candidates.keys() or not (
            batch.requests.keys() <= result.requests.keys()
        ):
            yield "fewer columns than it was given; keep these, and add columns with RaggedBatch.adding"
        if self._is_ranked:
            scores = result.candidates["score"]
            if scores.dtype.kind != "f" or scores.ndim != 1 or not np.isfinite(scores).all():
                yield f"scores that are not finite floats (N,), got {scores.dtype} {scores.shape}; return such scores"
        elif any(name in result.candidates and name not in batch.candidates for name in SCORES):
            yield "scores before the ranker; rename the column, or set after: ranker"


def _read_only(batch: RaggedBatch) -> RaggedBatch:
    """Return the batch with read-only views, because other stages and the answer read the same arrays."""
    return replace(
        batch,
        offsets=_frozen(batch.offsets),
        rows=_frozen(batch.rows),
        requests={name: _frozen_column(column) for name, column in batch.requests.items()},
        candidates={name: _frozen(column) for name, column in batch.candidates.items()},
        missed=dict(batch.missed),
    )


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _frozen_column(column: Column) -> Column:
    if isinstance(column, RaggedArray):
        return RaggedArray(_frozen(column.values), _frozen(column.offsets))
    return _frozen(column)


def _returned(array: Any, view: Any, original: Any) -> Any:
    """Return ``original`` for its read-only ``view``, because built-in stages may write to their arrays."""
    return original if array is view else array


def _returned_columns(
    columns: Mapping[str, Any], views: Mapping[str, Any], originals: Mapping[str, Any]
) -> dict[str, Any]:
    return {name: _returned(column, views.get(name), originals.get(name)) for name, column in columns.items()}


class SkippedStage:
    """Replaces a custom stage that fails or would be late. It returns the batch unchanged."""

    name = "skipped"

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Return the batch."""
        return batch
