"""An artifact's tokenizer.

It tokenises each text separately, and pairs are joined from two texts' tokens. So an item's text is tokenised once
instead of once per request, and a query once instead of once per candidate. The tokens that the tokenizer adds around a
pair's texts are found by encoding a sample pair.
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
    """The tokens before, between and behind a pair's texts, with their type ids.

    Attributes:
        first_type: type id for the first text's tokens.
        second_type: type id for the second text's tokens.
    """

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
        """Number of tokens around the texts."""
        return len(self.before) + len(self.between) + len(self.behind)


class PairTokenizer:
    """A ``tokenizer.json``, read by the library ``tokenizers``, without truncation or padding."""

    def __init__(self, path: Path) -> None:
        """Read the file at ``path``.

        Raises:
            RuntimeFailure: the file is missing or damaged, the tokenizer does not put a pair's first text before its
                second, or the package tokenizers is not installed.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise RuntimeFailure(
                "the package tokenizers is not installed; pip install 'rankway[text]'"
            ) from error
        # By default tokenizers starts one thread per core, but a replica has only a share of the cores.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library's errors have no other common class
            raise RuntimeFailure(
                f"{path} cannot be read as a tokenizer: {error}; copy this file again"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.size = int(self._tokenizer.get_vocab_size(with_added_tokens=True))
        self.template = _template(path, self._tokenizer.encode(*_PROBES))

    def tokens(self, texts: Sequence[str], max_tokens: int) -> RaggedArray:
        """Return the first ``max_tokens`` tokens of each text, int32, without the tokens around a pair."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        ids = [encoding.ids[:max_tokens] for encoding in encodings]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        flat = np.fromiter((token for each in ids for token in each), np.int32, int(lengths.sum()))
        return RaggedArray(flat, offsets_of(lengths))


def _template(path: Path, encoding: Any) -> Template:
    ids, types = np.array(encoding.ids, np.int64), np.array(encoding.type_ids, np.int64)
    sequence = np.array([-1 if each is None else each for each in encoding.sequence_ids])
    first, second = np.flatnonzero(sequence == 0), np.flatnonzero(sequence == 1)
    if not (len(first) and len(second)) or first[-1] > second[0]:
        raise RuntimeFailure(
            f"{path} does not put the first text of a pair before the second; use the tokenizer of a cross-encoder"
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
