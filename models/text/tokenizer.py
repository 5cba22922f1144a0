"""The tokenizer of an artifact: each text becomes tokens on its own, a pair is put together from its two texts' tokens.

So an item's text is tokenised once, not once a request, and a query once, not once a candidate. A tokenizer's file
says what stands around the texts of a pair; it is found by trying.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import RuntimeFailure
from models.ragged import RaggedArray, offsets_of

TOKENIZER = "tokenizer.json"
_PROBES = ("1", "2")


@dataclass(frozen=True, slots=True)
class Template:
    """What stands before, between and behind the texts of a pair: token ids and their types; and the texts' types."""

    before: NDArray[np.int64]
    between: NDArray[np.int64]
    behind: NDArray[np.int64]
    before_types: NDArray[np.int64]
    between_types: NDArray[np.int64]
    behind_types: NDArray[np.int64]
    first_type: int
    second_type: int

    @property
    def added(self) -> int:
        """Tokens around the texts."""
        return len(self.before) + len(self.between) + len(self.behind)


class PairTokenizer:
    """``tokenizer.json`` as the library ``tokenizers`` reads it; it never truncates or pads by itself."""

    def __init__(self, path: Path) -> None:
        """Read the file at ``path``.

        Raises:
            RuntimeFailure: it is missing or damaged, puts pairs together in another order than query, text; or the
            package tokenizers is not there.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise RuntimeFailure(
                "the package tokenizers is not installed; pip install 'rankway[text]'"
            ) from error
        # It would start a thread a core; a replica has one.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # its errors share no class but this
            raise RuntimeFailure(f"{path} cannot be read as a tokenizer: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.size = int(self._tokenizer.get_vocab_size(with_added_tokens=True))
        self.template = _template(path, self._tokenizer.encode(*_PROBES))

    def tokens(self, texts: Sequence[str], most: int) -> RaggedArray:
        """Give the texts' tokens, int32, at most the first ``most`` of each; nothing is put around them."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        ids = [encoding.ids[:most] for encoding in encodings]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        flat = np.fromiter((token for each in ids for token in each), np.int32, int(lengths.sum()))
        return RaggedArray(flat, offsets_of(lengths))


def _template(path: Path, probed: Any) -> Template:
    ids, types = np.array(probed.ids, np.int64), np.array(probed.type_ids, np.int64)
    sequence = np.array([-1 if each is None else each for each in probed.sequence_ids])
    first, second = np.flatnonzero(sequence == 0), np.flatnonzero(sequence == 1)
    if not (len(first) and len(second)) or first[-1] > second[0]:
        raise RuntimeFailure(
            f"{path} does not join a pair as its first text, then its second; use the tokenizer of a cross-encoder"
        )
    before, between, behind = slice(0, first[0]), slice(first[-1] + 1, second[0]), slice(second[-1] + 1, None)
    return Template(
        before=ids[before],
        between=ids[between],
        behind=ids[behind],
        before_types=types[before],
        between_types=types[between],
        behind_types=types[behind],
        first_type=int(types[first[0]]),
        second_type=int(types[second[0]]),
    )
