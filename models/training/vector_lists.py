"""A split's lists as vectors in memory, for trainers that read all data at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingError
from models.ragged import offsets_of
from models.training.vector_data import VectorData

Progress = Callable[[str, int, int, str], None]
"""Called with the task, the trees or lists that are done, all of them, and a note."""


@dataclass(frozen=True)
class ListsInMemory:
    """Lists in memory: the reference's scores (N,), vectors (N, F), labels (N,), and offsets (B + 1,)."""

    reference: NDArray[Any] | None
    vectors: NDArray[np.float32]
    labels: NDArray[np.float32]
    offsets: NDArray[np.int64]

    def part(self, first: int, last: int) -> "ListsInMemory":
        """Return the lists [first, last)."""
        start, end = self.offsets[first], self.offsets[last]
        return ListsInMemory(
            None if self.reference is None else self.reference[start:end],
            self.vectors[start:end],
            self.labels[start:end],
            self.offsets[first : last + 1] - start,
        )


def read_lists(data: VectorData, split: str, count: int | None, progress: Progress) -> ListsInMemory:
    """Read a split, at most ``count`` lists of it.

    Raises:
        TrainingError: the split has fewer than two lists.
    """
    parts = []
    for part in data.lists(split, count):
        parts.append(part)
        progress(f"reading the {split} lists", part.first + len(part.sizes), part.total, "")
    references = [part.reference for part in parts if part.reference is not None]
    sizes = np.concatenate([part.sizes for part in parts])
    if len(sizes) < 2:
        raise TrainingError(f"{split} impressions: expected at least 2 lists, got {len(sizes)}; add data")
    return ListsInMemory(
        reference=np.concatenate(references) if references else None,
        vectors=np.concatenate([part.vectors for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        offsets=offsets_of(sizes),
    )
