"""The two halves of validation lists: one selects models, the other measures them."""

import numpy as np

from models.compress.steps.base import Split
from models.errors import CompressionError
from models.training.examples.usable_lists import expect_labels, thinned
from models.training.splits import Labelled


def half_of(valid: Labelled, split: Split, most: int | None) -> Labelled:
    """Return the lists of ``select`` or ``report``: the first or the second half, in the order of time.

    Args:
        valid: all validation lists.
        split: which half.
        most: the largest number of report lists, evenly spaced. None returns all.

    Raises:
        CompressionError: there are fewer than 2 lists.
        TrainingError: the half has no label above 0.
    """
    batch, labels = valid
    if len(batch) < 2:
        raise CompressionError(
            f"validation lists: expected at least 2, got {len(batch)}; build a larger data set"
        )
    half = np.array_split(np.arange(len(batch)), 2)[split == "report"]
    first, last = int(half[0]), int(half[-1]) + 1
    part, of_part = batch.between(first, last), labels[slice(*batch.offsets[[first, last]].tolist())]
    expect_labels(**{"selection" if split == "select" else "report": of_part})
    return thinned(part, of_part, most if split == "report" else None)
