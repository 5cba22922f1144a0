"""Training data as feature vectors: lists with labels, one float32 row per candidate, as serving builds them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.atomic_directory import settled
from models.errors import TrainingError
from models.features.sent_table import SentTable
from models.features.view import FeatureView
from models.impressions import read_impressions
from models.ragged import RaggedBatch
from models.training.config import OverCatalogueConfig
from models.training.examples.negative_sampling import LABEL, NegativeSampler, over_catalogue
from models.training.examples.usable_lists import in_memory, of_catalogue, thinned, without_unknown_items
from models.vectors import VectorBuilder

SPLITS = ("train", "valid")
_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class VectorLists:
    """Some lists of a split.

    Attributes:
        first: the index of the first list in its split.
        total: lists in the split.
        sizes: int64 (B,), candidates per list.
        rows: int64 (N,), catalogue rows.
        labels: float32 (N,).
        vectors: float32 (N, F).
        reference: (N,), the scores of a reference order. None: there is no reference.
        sent: has the ids of items outside the catalogue. None: there are none.
    """

    first: int
    total: int
    sizes: NDArray[np.int64]
    rows: NDArray[np.int64]
    labels: NDArray[np.float32]
    vectors: NDArray[np.float32]
    reference: NDArray[Any] | None = None
    sent: SentTable | None = None


@dataclass(frozen=True)
class VectorData:
    """A data set's splits as vectors.

    Attributes:
        folder: the impressions ``train`` and ``valid``.
        view: completes the lists with derived features, as in serving.
        build: builds the vectors.
        width: numbers in a vector.
        over: options for data that contain only chosen items.
        history: the user feature with earlier items, read if ``over`` leaves them out.
        seed: seed for drawn items.
        reference: reads the column that orders the lists as a reference.
    """

    folder: Path
    view: FeatureView
    build: VectorBuilder
    width: int
    over: OverCatalogueConfig | None = None
    history: str = "history"
    seed: int = 1
    reference: Callable[[RaggedBatch], NDArray[Any]] | None = None

    def lists(self, split: str, count: int | None = None) -> Iterator[VectorLists]:
        """Yield the lists of a split in time order, about 100,000 candidates at a time.

        Args:
            split: ``train`` or ``valid``.
            count: maximum number of lists, evenly spaced. None: all.

        Raises:
            ArtifactError: the data do not exist, or were made with other feature definitions.
            TrainingError: there are no lists, or a label is not a number of 0 or more.
        """
        catalogue = self.view.catalogue
        batch, labels = read_impressions(
            self.folder / split,
            feature_hash=self.view.features.content_hash,
            keys_to_rows=catalogue.rows_of_keys,
        )
        batch, labels = thinned(in_memory(batch), labels, count)
        sent = SentTable.read(settled(self.folder / split)) if self.over is None else None
        if sent is not None:
            batch = sent.with_rows(batch)
        batch, labels = (without_unknown_items if self.over is None else of_catalogue)(batch, labels)
        if not len(batch):
            raise TrainingError(f"{split} impressions: no lists in {self.folder}; build the data set again")
        if not (np.isfinite(labels) & (labels >= 0)).all():
            raise TrainingError(
                f"{split} impressions: labels must be finite and 0 or more; correct the source, and build the data set "
                f"again"
            )
        at_once = self._lists_at_once(split, batch)
        for first in range(0, len(batch), at_once):
            part = batch.adding(candidates={LABEL: labels}).take(
                np.arange(first, min(first + at_once, len(batch)))
            )
            yield self._vectors(first, len(batch), *self._extended(split, first, part), sent)

    def _extended(self, split: str, first: int, part: RaggedBatch) -> tuple[RaggedBatch, NDArray[np.float32]]:
        if self.over is None:
            return part, part.candidates[LABEL]
        if split == "train":
            drawn = NegativeSampler(len(self.view.catalogue), self.over.negatives)(
                part, seed=self.seed * 1_000_003 + first
            )
            return drawn, drawn.candidates[LABEL]
        return over_catalogue(
            part,
            part.candidates[LABEL],
            self.view.catalogue,
            history=self.history,
            repeats=self.over.repeats,
        )

    def _vectors(
        self,
        first: int,
        total: int,
        batch: RaggedBatch,
        labels: NDArray[np.float32],
        sent: SentTable | None,
    ) -> VectorLists:
        columns = {name: column for name, column in batch.candidates.items() if name != LABEL}
        lists = RaggedBatch(
            offsets=batch.offsets, rows=batch.rows, requests=batch.requests, candidates=columns
        )
        completed = self.view.completed(lists if sent is None else sent.laid_over(lists, self.view.catalogue))
        vectors = self.build(completed, self.width)
        reference = None if self.reference is None else self.reference(completed)
        sizes = batch.lengths
        return VectorLists(first, total, sizes, batch.rows, labels, vectors, reference, sent)

    def _lists_at_once(self, split: str, batch: RaggedBatch) -> int:
        longest = int(batch.lengths.max(initial=1))
        if self.over is not None:
            longest = len(self.view.catalogue) if split == "valid" else longest + self.over.negatives
        return max(1, _ROWS_AT_ONCE // max(1, longest))
