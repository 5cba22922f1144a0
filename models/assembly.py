"""Assemble a model's inputs from a ragged batch and the catalogue, as the signature declares them."""

import numpy as np
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.features.timelines import ItemTimelines
from models.input_sources import Call, Source, source_of
from models.padding import chunk_offsets, from_lists
from models.ragged import RaggedBatch
from models.signature import Inputs, InputSpec, Signature


class InputAssembler:
    """Build a model's inputs, in training and in serving."""

    def __init__(
        self,
        signature: Signature,
        catalogue: Catalogue,
        *,
        whole_lists: bool = False,
        timelines: ItemTimelines | None = None,
    ) -> None:
        """Resolve every source once.

        Args:
            signature: declares the inputs.
            catalogue: has the item columns.
            whole_lists: with layout chunks, make each list one chunk, as in training.
            timelines: the item columns that training reads as of each list's time. None reads the catalogue, as in
                serving.

        Raises:
            SignatureError: a source is unknown, or the catalogue does not have its column.
        """
        self._padded = signature.layout != "flat"
        self._cut = signature.layout == "chunks" and not whole_lists
        self._inputs = [
            (spec.name, np.dtype(spec.dtype), self._source(spec, signature, catalogue, timelines))
            for spec in signature.inputs
        ]

    def __call__(self, batch: RaggedBatch) -> Inputs:
        """Return contiguous arrays by input name.

        Raises:
            SignatureError: a feature with fixed shape was declared as ragged.
        """
        call = Call(batch, self._row_offsets(batch))
        return {name: np.ascontiguousarray(make(call), dtype) for name, dtype, make in self._inputs}

    def flatten(self, outputs: Inputs, batch: RaggedBatch) -> Inputs:
        """Return per-candidate outputs as (N, ...), whatever the model's layout."""
        if not self._padded:
            return outputs
        offsets = self._row_offsets(batch)
        return {name: from_lists(values, offsets) for name, values in outputs.items()}

    def _row_offsets(self, batch: RaggedBatch) -> NDArray[np.int64]:
        return chunk_offsets(batch.offsets) if self._cut else batch.offsets

    def _source(
        self, spec: InputSpec, signature: Signature, catalogue: Catalogue, timelines: ItemTimelines | None
    ) -> Source:
        source = source_of(spec, signature, catalogue, timelines)
        if self._padded and spec.per_candidate:
            return lambda call: call.slots(call.row_offsets).lists(source(call))
        return source
