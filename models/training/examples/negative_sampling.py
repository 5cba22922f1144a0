"""Lists over the whole catalogue, for data that contain only chosen items.

Training uses a sampled softmax: each list gets uniformly drawn items, again at each step (Jean et al. 2015,
arXiv:1412.2007). For uniform draws, the softmax correction is a constant. Validation ranks all items, because a sampled
metric may order models differently from the full metric (Krichene and Rendle 2020,
doi:10.1145/3394486.3403226).
"""

from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.ragged import RaggedArray, RaggedBatch, offsets_of

LABEL = "label"


@dataclass(frozen=True)
class NegativeSampler:
    """Adds uniformly drawn items to every list. Items that are already in the list, or are drawn again, are dropped.

    Attributes:
        items: number of catalogue rows.
        count: items drawn for each list.
    """

    items: int
    count: int

    def __call__(self, batch: RaggedBatch, *, seed: int) -> RaggedBatch:
        """Return the batch with drawn items, with label 0, after each list's own items.

        The result's only candidate column is the labels.

        Args:
            batch: the lists.
            seed: seed for the draws. The caller derives it from the step's lists, not from a random stream, so that a
                resumed training draws the same items.
        """
        lists = np.repeat(np.arange(len(batch)), self.count)
        drawn = np.random.default_rng(seed).integers(0, self.items, len(lists))
        own_items = batch.request_of() * self.items + batch.rows
        new = np.setdiff1d(lists * self.items + drawn, own_items)
        request = np.concatenate([batch.request_of(), new // self.items])
        order = np.argsort(request, kind="stable")
        labels = np.concatenate([batch.candidates[LABEL], np.zeros(len(new), dtype=np.float32)])
        return replace(
            batch,
            offsets=offsets_of(np.bincount(request, minlength=len(batch))),
            rows=np.concatenate([batch.rows, new % self.items])[order],
            candidates={LABEL: labels[order]},
        )


def over_catalogue(
    batch: RaggedBatch, labels: NDArray[np.float32], catalogue: Catalogue, *, history: str, repeats: bool
) -> tuple[RaggedBatch, NDArray[np.float32]]:
    """Return every list extended to the whole catalogue in row order. Added items have label 0.

    Args:
        batch: lists with chosen items.
        labels: (N,).
        catalogue: the catalogue.
        history: the user feature with the history's items.
        repeats: whether to keep history items. If not, only history items with a label above 0 stay.
    """
    items = len(catalogue)
    full = np.zeros((len(batch), items), dtype=np.float32)
    full[batch.request_of(), batch.rows] = labels
    included = np.ones(full.shape, dtype=np.bool_)
    if not repeats:
        past = batch.requests[f"user.{history}"]
        assert isinstance(past, RaggedArray)
        rows = catalogue.rows_of_keys(past.values)
        request = np.repeat(np.arange(len(batch)), past.lengths)
        included[request[rows >= 0], rows[rows >= 0]] = False
        included |= full > 0
    rows = np.broadcast_to(np.arange(items), full.shape)[included]
    return replace(batch, offsets=offsets_of(included.sum(axis=1)), rows=rows, candidates={}), full[included]
