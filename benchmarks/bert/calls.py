"""Composes the model's calls from waiting requests."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.bert.mixes import MAX_LENGTH, Mix
from models.signature import Inputs
from models.text.pairs import cuts

WAITING = 64


@dataclass(frozen=True, slots=True)
class Composer:
    """Takes requests in the order of the mix, and makes calls of them.

    Attributes:
        padded: every request is padded to ``MAX_LENGTH``.
        max_tokens: None: every request is a call of its own. Otherwise ``WAITING`` requests are sorted by length, and
            divided into calls with at most this many tokens, padding included.
    """

    mix: Mix
    padded: bool = False
    max_tokens: int | None = None

    def calls(self, requests: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Divide requests (R,), given by their texts, into calls."""
        if self.max_tokens is None:
            yield from requests[:, None]
            return
        for first in range(0, len(requests), WAITING):
            some = requests[first : first + WAITING]
            lengths = self.mix.texts.lengths[some]
            order = np.argsort(-lengths, kind="stable")
            for begin, end in cuts(lengths[order], self.max_tokens):
                yield some[order[begin:end]]

    def inputs(self, texts: NDArray[np.int64]) -> Inputs:
        """Return a call's inputs (P, L), with L its longest text or ``MAX_LENGTH``."""
        tokens = self.mix.texts.take(texts)
        longest = MAX_LENGTH if self.padded else int(tokens.lengths.max())
        mask = np.arange(longest)[None, :] < tokens.lengths[:, None]
        ids = np.zeros(mask.shape, dtype=np.int64)
        ids[mask] = tokens.values
        return {
            "input_ids": ids,
            "attention_mask": mask.astype(np.int64),
            "token_type_ids": np.zeros_like(ids),
        }
