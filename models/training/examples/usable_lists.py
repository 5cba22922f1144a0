"""Prepare impressions for a model: known items only, thinned, in memory, and finite."""

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from models.errors import TrainingError
from models.features.sent import ITEM_COLUMNS, SENT
from models.ragged import RaggedArray, RaggedBatch, offsets_of

_HALVES = {
    "selection": "first half of the validation lists",
    "report": "second half of the validation lists",
}


def without_unknown_items(
    batch: RaggedBatch, labels: NDArray[np.float32]
) -> tuple[RaggedBatch, NDArray[np.float32]]:
    """Drop candidates that the catalogue no longer has (row -1), then lists with fewer than two candidates left."""
    known = batch.rows >= 0
    if not known.all():
        batch = batch.keep(np.flatnonzero(known), offsets_of(known)[batch.offsets])
        labels = labels[known]
    counts = batch.lengths
    if (counts < 2).any():
        batch = batch.adding(candidates={"label": labels}).take(np.flatnonzero(counts > 1))
        batch, labels = _split_labels(batch)
    return batch, labels


def of_catalogue(batch: RaggedBatch, labels: NDArray[np.float32]) -> tuple[RaggedBatch, NDArray[np.float32]]:
    """Drop candidates that are not in the catalogue, and the values that were sent with the others.

    For lists that will be extended to the catalogue. Lists without candidates are dropped.
    """
    known = batch.rows >= 0
    if not known.all():
        batch = batch.keep(np.flatnonzero(known), offsets_of(known)[batch.offsets])
        batch = batch.adding(candidates={"label": labels[known]})
        batch, labels = _split_labels(batch.take(np.flatnonzero(batch.lengths)))
    columns = {name: column for name, column in batch.candidates.items() if name != SENT}
    return replace(batch, candidates=columns), labels


def thinned(
    batch: RaggedBatch, labels: NDArray[np.float32], count: int | None
) -> tuple[RaggedBatch, NDArray[np.float32]]:
    """Return at most ``count`` lists, evenly spaced over the data, which are in time order."""
    if count is None or len(batch) <= count:
        return batch, labels
    indices = np.linspace(0, len(batch) - 1, count).astype(np.int64)
    return _split_labels(batch.adding(candidates={"label": labels}).take(indices))


def _split_labels(batch: RaggedBatch) -> tuple[RaggedBatch, NDArray[np.float32]]:
    columns = dict(batch.candidates)
    labels = columns.pop("label")
    return replace(batch, candidates=columns), labels


def in_memory(batch: RaggedBatch) -> RaggedBatch:
    """Return the batch with its memory-mapped columns copied into memory, because random access to maps is slow."""
    return replace(
        batch,
        requests={
            name: RaggedArray(np.array(column.values), column.offsets)
            if isinstance(column, RaggedArray)
            else np.array(column)
            for name, column in batch.requests.items()
        },
        candidates={name: np.array(column) for name, column in batch.candidates.items()},
    )


def expect_labels(**parts: NDArray[np.float32]) -> None:
    """Check, before anything is trained, that each part of the data has a label above 0.

    Args:
        **parts: the labels of the parts train, selection and report. The last two are the halves of the validation
            lists, in time order: the first selects the model, and the second measures its quality.

    Raises:
        TrainingError: a part has none.
    """
    for name, labels in parts.items():
        if not (labels > 0).any():
            where = "training lists" if name == "train" else _HALVES[name]
            raise TrainingError(
                f"labels: no item of the {where} has a label above 0, got {len(labels):,} items; add lists with "
                f"reactions, or check the relevance of their kinds"
            )


def expect_numbers(what: str, batch: RaggedBatch, labels: NDArray[np.float32]) -> None:
    """Check that all columns and labels are finite, except item columns, which may miss values as in the catalogue.

    Args:
        what: name of the data in errors.
        batch: the impressions.
        labels: (N,).

    Raises:
        TrainingError: a column or the labels have NaN or infinite values, or a label is below 0.
    """
    columns = {
        name: column.values if isinstance(column, RaggedArray) else column
        for name, column in batch.requests.items()
    }
    supplied = {
        name: column for name, column in batch.candidates.items() if not name.startswith(ITEM_COLUMNS)
    }
    for name, values in {**columns, **supplied, "labels": labels}.items():
        not_finite = ~np.isfinite(values)
        if not_finite.any():
            raise TrainingError(
                f"{what}: {name} must be finite, got {int(not_finite.sum())} NaN or infinite values of {values.size}; "
                f"correct the source, and build the data set again"
            )
    if (labels < 0).any():
        raise TrainingError(f"{what}: labels must be 0 or more, got {labels.min()}; build the data set again")
