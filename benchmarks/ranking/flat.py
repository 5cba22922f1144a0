"""A ranker's inputs as one flat row of numbers per candidate, for models that read tables, such as trees.

Everything comes from the ranker's own signature. Item columns, cell, context, profile and other request features are
copied, and distances are computed. The history is summarised as each candidate's similarity to it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.architectures.encoders import distances
from models.architectures.options import Distance
from models.assembly import InputAssembler
from models.features.catalogue import Catalogue
from models.padding import mask_of
from models.ragged import RaggedBatch
from models.signature import InputSpec, Signature

NEAREST = 5
"""Number of most similar past items whose values, such as rating or age, are averaged for a candidate."""

BLOCK = 512
_TINY = 1e-6


class FlatFeatures:
    """Computes rows (N, F) for a batch's candidates from the inputs in ``signature``."""

    def __init__(self, signature: Signature, ways: Sequence[Distance], catalogue: Catalogue) -> None:
        """Group the signature's inputs by how they become columns. ``ways`` are the ranker's distances."""
        self._assembler = InputAssembler(signature, catalogue, whole_lists=True)
        self._ways = [(f"from_{way.origin.replace('.', '_')}", f"to_{way.place}") for way in ways]
        ends = {end for way in self._ways for end in way}
        specs = [spec for spec in signature.inputs if spec.name not in ends]
        self._items = [s for s in specs if s.per_candidate]
        self._past = [s for s in specs if "@" in s.source]
        self._values = [s for s in specs if s.source.endswith(":list") and "@" not in s.source]
        kinds = ("user.", "realtime.", "context.", "global.")
        self._requests = [s for s in specs if s.source.startswith(kinds) and ":" not in s.source]
        self._spread = {
            spec.name: _mean_and_spread(np.asarray(catalogue.columns[spec.source.removeprefix("item.")]))
            for spec in self._items
            if spec.source.startswith("item.") and spec.dtype == "float32"
        }

    def __call__(self, batch: RaggedBatch) -> NDArray[np.float32]:
        """Return the rows, float32 (N, F), in candidate order."""
        parts = []
        for start in range(0, len(batch), BLOCK):
            part = batch.take(np.arange(start, min(start + BLOCK, len(batch))))
            parts.append(self._block(part))
        return np.concatenate(parts)

    def _block(self, batch: RaggedBatch) -> NDArray[np.float32]:
        inputs, present = self._assembler(batch), mask_of(batch.offsets)
        columns = [_wide(inputs[s.name], 2) for s in self._items]
        for spec in self._requests:
            of_request = _wide(inputs[spec.name], 1)[:, None]
            columns.append(np.broadcast_to(of_request, (*present.shape, of_request.shape[-1])))
        for origin, target in self._ways:
            ends = (torch.from_numpy(inputs[name]) for name in (origin, target))
            columns.append(distances(*ends).numpy())
        if self._past and inputs["history_mask"].shape[1]:
            columns.append(self._likeness(inputs))
        elif self._past:
            columns.append(np.zeros((*present.shape, 3 + 2 * len(self._values)), dtype=np.float32))
        return np.concatenate(columns, axis=-1).astype(np.float32)[present]

    def _likeness(self, inputs: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Summarise the history for each candidate, (B, M, 3 + 2V).

        The first three columns are the mean and the largest cosine to the past items, and the past's length. Each value
        then has two columns: its mean weighted by similarity, and its mean over the NEAREST items alone.
        """
        mask = inputs["history_mask"]
        candidates = self._unit(inputs, [s for s in self._items if s.name in self._spread], "")
        past = self._unit(
            inputs, [s for s in self._past if s.name.replace("past_", "item_") in self._spread], "past_"
        )
        similarity = np.einsum("bmw,blw->bml", candidates, past)
        masked = np.where(mask[:, None], similarity, -1.0)
        counts = mask.sum(axis=1)[:, None]
        weights = np.where(mask[:, None], np.exp(4.0 * similarity), 0.0)
        nearest = np.argsort(-masked, axis=2)[:, :, :NEAREST]
        real = np.take_along_axis(np.broadcast_to(mask[:, None], masked.shape), nearest, axis=2)
        folded = [
            np.where(mask[:, None], similarity, 0.0).sum(axis=2) / np.maximum(counts, 1),
            np.where(counts > 0, masked.max(axis=2), 0.0),
            np.broadcast_to(counts, masked.shape[:2]),
        ]
        for spec in self._values:
            value = np.broadcast_to(inputs[spec.name][:, None], masked.shape)
            folded.append((weights * value).sum(axis=2) / np.maximum(weights.sum(axis=2), _TINY))
            nearest_values = np.take_along_axis(value, nearest, axis=2)
            folded.append((nearest_values * real).sum(axis=2) / np.maximum(real.sum(axis=2), 1))
        return np.stack(folded, axis=-1).astype(np.float32)

    def _unit(
        self, inputs: dict[str, NDArray[np.float32]], specs: list[InputSpec], prefix: str
    ) -> NDArray[np.float32]:
        parts = []
        for spec in specs:
            mean, spread = self._spread[spec.name.replace("past_", "item_") if prefix else spec.name]
            parts.append(_wide((inputs[spec.name] - mean) / spread, 2))
        joined = np.concatenate(parts, axis=-1)
        length = np.sqrt(np.square(joined).sum(axis=-1, keepdims=True))
        return np.asarray(joined / np.maximum(length, _TINY))


def _mean_and_spread(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return values.mean(axis=0), values.std(axis=0) + _TINY


def _wide(values: NDArray[np.float32], leading: int) -> NDArray[np.float32]:
    return values if values.ndim > leading else values[..., None]
