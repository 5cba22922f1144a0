"""The tokens of a catalogue's item texts and of those that its deltas have added. A delta copies no others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.ragged import RaggedArray
from models.text.item_tokens import item_texts
from models.text.tokenizer import PairTokenizer

_NONE = RaggedArray(np.zeros(0, dtype="<i4"), np.zeros(1, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class GrownTokens:
    """The tokens of a catalogue's rows, int32.

    Attributes:
        base: those of the catalogue without deltas.
        added: those of the rows after them.
    """

    base: RaggedArray
    added: RaggedArray = _NONE

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.base) + len(self.added)

    def over(
        self, catalogue: Catalogue, source: str, reader: PairTokenizer, max_tokens: int
    ) -> "GrownTokens":
        """Return the tokens for a later state of the catalogue. Arguments are as for ``item_tokens``.

        Raises:
            SignatureError: an added item has no such text.
        """
        rows = range(len(self), len(catalogue))
        if not rows:
            return self
        tokens = reader.tokens(list(item_texts(catalogue, source, rows)), max_tokens)
        new = RaggedArray(tokens.values.astype("<i4"), tokens.offsets)
        return GrownTokens(self.base, RaggedArray.concatenate([self.added, new]))

    def of(self, rows: NDArray[np.int64]) -> tuple[RaggedArray, NDArray[np.int64]]:
        """Return texts with those of the rows (N,), and the place of each row's text among them, int64 (N,)."""
        is_added = rows >= len(self.base)
        if not is_added.any():
            return self.base, rows
        texts = [self.base.take(rows[~is_added]), self.added.take(rows[is_added] - len(self.base))]
        places = np.empty(len(rows), dtype=np.int64)
        places[np.argsort(is_added, kind="stable")] = np.arange(len(rows))
        return RaggedArray.concatenate(texts), places
