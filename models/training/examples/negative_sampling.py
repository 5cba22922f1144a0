"""Lists made of the whole catalogue, for data that hold only what was chosen.

Training sees a sampled softmax: each list gets items drawn uniformly, anew at each step (Jean et al. 2015,
arXiv:1412.2007; drawn uniformly the correction is a constant). Validation ranks all items: a sampled metric need not
order models as the full one does (Krichene and Rendle 2020, doi:10.1145/3394486.3403226).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.ragged import RaggedArray, RaggedBatch, offsets_of

LABEL = "label"


@dataclass(frozen=True)
class NegativeSampler:
    """Adds ``count`` items, drawn uniformly from ``items`` rows, to every list; never one the list holds."""

    items: int
    count: int

    def __call__(self, batch: RaggedBatch, *, seed: int) -> RaggedBatch:
        """Give the batch with the drawn items, label 0, behind each list's own; its candidates carry labels only.

        A step's seed comes from its lists, not from a stream: a resumed training draws what it would have drawn.
        """
        lists = np.repeat(np.arange(len(batch)), self.count)
        drawn = np.random.default_rng(seed).integers(0, self.items, len(lists))
        held = batch.request_of() * self.items + batch.rows
        fresh = ~np.isin(lists * self.items + drawn, held)
        request = np.concatenate([batch.request_of(), lists[fresh]])
        order = np.argsort(request, kind="stable")
        labels = np.concatenate([batch.candidates[LABEL], np.zeros(int(fresh.sum()), dtype=np.float32)])
        return replace(
            batch,
            offsets=offsets_of(np.bincount(request, minlength=len(batch))),
            rows=np.concatenate([batch.rows, drawn[fresh]])[order],
            candidates={LABEL: labels[order]},
        )


def over_catalogue(
    batch: RaggedBatch, labels: NDArray[np.float32], catalogue: Catalogue, *, history: str, repeats: bool
) -> tuple[RaggedBatch, NDArray[np.float32]]:
    """Give every list as the whole catalogue in row order, labels 0 but where the list had another.

    Without ``repeats`` what is in the user feature ``history`` is left out, unless it was chosen.
    """
    items = len(catalogue)
    full = np.zeros((len(batch), items), dtype=np.float32)
    full[batch.request_of(), batch.rows] = labels
    kept = np.ones(full.shape, dtype=np.bool_)
    if not repeats:
        past = batch.requests[f"user.{history}"]
        assert isinstance(past, RaggedArray)
        rows = catalogue.rows_of_keys(past.values)
        request = np.repeat(np.arange(len(batch)), np.diff(past.offsets))
        kept[request[rows >= 0], rows[rows >= 0]] = False
        kept |= full > 0
    rows = np.broadcast_to(np.arange(items), full.shape)[kept]
    return replace(batch, offsets=offsets_of(kept.sum(axis=1)), rows=rows, candidates={}), full[kept]
