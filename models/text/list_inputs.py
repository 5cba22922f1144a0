"""The inputs of a text ranker for whole lists, as training and calibration need them: one row per candidate."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch
from models.signature import Inputs, Signature
from models.text.scorer import PairScorer, TextConfig

_NO_LIMIT = 1 << 20
"""The most tokens of a call: all lists of a step are in one call."""


class PairAssembler:
    """Builds the inputs (N, L) of a batch of N candidates, in their order. L is the longest pair's length."""

    def __init__(self, root: Path, signature: Signature, catalogue: Catalogue) -> None:
        """Read the tokenizer of the artifact at ``root``, and the items' tokens.

        Raises:
            RuntimeFailure: the tokenizer cannot be used.
            SignatureError: an item has no such text.
        """
        self._signature = signature
        self._scorer = PairScorer(root, signature, catalogue, TextConfig(max_tokens=_NO_LIMIT))

    def __call__(self, batch: RaggedBatch) -> Inputs:
        """Return contiguous arrays by input name. Candidates of a request without a query have padding only.

        Raises:
            SignatureError: the query feature is not a text.
        """
        calls = list(self._scorer.micro_batches(batch))
        longest = max((next(iter(call.inputs.values())).shape[1] for call in calls), default=1)
        whole = {spec.name: self._padding(spec.source, batch, longest) for spec in self._signature.inputs}
        for call in calls:
            for name, values in call.inputs.items():
                whole[name][call.positions, : values.shape[1]] = values
        return whole

    def flatten(self, outputs: Inputs, batch: RaggedBatch) -> Inputs:
        """Return the outputs, which are per candidate already, (N,)."""
        return outputs

    def _padding(self, source: str, batch: RaggedBatch, length: int) -> NDArray[np.int64]:
        assert self._signature.pair is not None, "layout pairs has a pair"
        value = self._signature.pair.pad_id if source == "tokens.ids" else 0
        return np.full((batch.candidate_count, length), value, dtype=np.int64)
