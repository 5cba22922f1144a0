"""Micro-batches of text pairs.

Pairs are sorted by length and divided into micro-batches within a token budget. Each micro-batch is padded to its
longest pair.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.ragged import RaggedArray, offsets_of
from models.signature import Inputs, InputSpec, PairSpec
from models.text.tokenizer import Template

Lengths = NDArray[np.int64]
_LONGEST = 4
"""Maximum number of stored tokens per text, as a multiple of ``PairBatcher.room``.

If both texts in a pair exceed this maximum, their true lengths are unknown. The second text is then treated as the
longer one, which keeps the odd token.
"""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """P pairs for one model call.

    Attributes:
        positions: int64 (P,), pair indices.
        inputs: the model's inputs (P, L), with L the longest pair.
    """

    positions: NDArray[np.int64]
    inputs: Inputs


def kept_lengths(
    first: Lengths, second: Lengths, room: int, truncation: Literal["longest_first", "only_second"]
) -> tuple[Lengths, Lengths]:
    """Return how many tokens are kept of the first and the second texts in P pairs, (P,) each.

    A pair keeps at most ``room`` tokens. The strategies are as in Hugging Face, with one exception. For only_second,
    Hugging Face raises an error if the first text alone fills the room. Here the first text is truncated too.
    """
    if truncation == "only_second":
        first = np.minimum(first, room)
        return first, np.minimum(second, room - first)
    shorter, longer = np.minimum(first, second), np.maximum(first, second)
    longer_kept = np.minimum(longer, np.maximum(shorter, room - shorter))
    both = shorter + longer_kept > room
    shorter_kept = np.where(both, room // 2, shorter)
    longer_kept = np.where(both, room // 2 + room % 2, longer_kept)
    swapped = first > second
    return np.where(swapped, longer_kept, shorter_kept), np.where(swapped, shorter_kept, longer_kept)


class PairBatcher:
    """Join pairs and divide them into micro-batches, with operations on whole arrays."""

    def __init__(
        self, template: Template, pair: PairSpec, inputs: tuple[InputSpec, ...], max_tokens: int
    ) -> None:
        """Prepare the batcher for one model.

        Args:
            template: the tokens around the texts.
            pair: maximum length, truncation and padding.
            inputs: the model's inputs.
            max_tokens: maximum slots per micro-batch, including padding. A longer pair is a micro-batch of its own.
        """
        self._template, self._pair, self._max_tokens = template, pair, max_tokens
        self._inputs = [(spec.name, spec.source) for spec in inputs]
        self.room = pair.max_length - template.added
        """Maximum number of tokens in a pair's two texts together."""
        self.max_text_tokens = _LONGEST * self.room
        """Maximum number of stored tokens per text.

        It exceeds ``room``, so that the longer text in a pair can be recognised. The longer text keeps the odd token.
        """

    def __call__(
        self,
        queries: RaggedArray,
        query_of: NDArray[np.int64],
        texts: RaggedArray,
        text_of: NDArray[np.int64],
    ) -> Iterator[MicroBatch]:
        """Yield micro-batches of P pairs, the longest pairs first.

        Args:
            queries: tokens of all queries.
            query_of: int64 (P,), each pair's query.
            texts: tokens of all texts.
            text_of: int64 (P,), each pair's text.
        """
        query_lengths = (queries.offsets[query_of + 1] - queries.offsets[query_of]).astype(np.int64)
        text_lengths = (texts.offsets[text_of + 1] - texts.offsets[text_of]).astype(np.int64)
        first, second = kept_lengths(query_lengths, text_lengths, self.room, self._pair.truncation)
        lengths = first + second + self._template.added
        order = np.argsort(-lengths, kind="stable")
        lengths, first, second = lengths[order], first[order], second[order]
        offsets = offsets_of(lengths)
        starts = offsets[:-1]
        begins = starts + len(self._template.before)
        middles = begins + first + len(self._template.between)
        first_slots, second_slots = _spans(begins, first), _spans(middles, second)
        ids = self._around(starts, begins + first, middles + second, "ids")
        ids[first_slots] = queries.values[_spans(queries.offsets[query_of[order]], first)]
        ids[second_slots] = texts.values[_spans(texts.offsets[text_of[order]], second)]
        types = self._around(starts, begins + first, middles + second, "types")
        types[first_slots], types[second_slots] = self._template.first_type, self._template.second_type
        for begin, end in cuts(lengths, self._max_tokens):
            span = slice(int(offsets[begin]), int(offsets[end]))
            mask = np.arange(lengths[begin])[None, :] < lengths[begin:end, None]
            yield MicroBatch(order[begin:end], self._padded(mask, ids[span], types[span]))

    def _padded(self, mask: NDArray[np.bool_], ids: Lengths, types: Lengths) -> Inputs:
        inputs: Inputs = {}
        for name, source in self._inputs:
            if source == "tokens.mask":
                inputs[name] = mask.astype(np.int64)
                continue
            is_ids = source == "tokens.ids"
            inputs[name] = np.full(mask.shape, self._pair.pad_id if is_ids else 0, dtype=np.int64)
            inputs[name][mask] = ids if is_ids else types
        return inputs

    def _around(
        self, starts: Lengths, middles: Lengths, ends: Lengths, field: Literal["ids", "types"]
    ) -> NDArray[np.int64]:
        """Return an array for all pairs, end to end.

        Only the tokens around the texts are set. The caller fills in the texts.
        """
        t = self._template
        parts = (
            (t.before, t.between, t.behind)
            if field == "ids"
            else (t.before_types, t.between_types, t.behind_types)
        )
        flat = np.empty(int(ends[-1]) + len(t.behind) if len(ends) else 0, dtype=np.int64)
        for positions, part in zip((starts, middles, ends), parts, strict=True):
            flat[positions[:, None] + np.arange(len(part))] = part
        return flat


def cuts(lengths: Lengths, max_tokens: int) -> Iterator[tuple[int, int]]:
    """Divide descending pair lengths (P,) into runs with at most ``max_tokens`` padded slots, or with one pair."""
    begin = 0
    while begin < len(lengths):
        end = min(len(lengths), begin + max(1, max_tokens // int(lengths[begin])))
        yield begin, end
        begin = end


def _spans(starts: Lengths, lengths: Lengths) -> NDArray[np.int64]:
    """Return all positions in the spans [start, start + length), end to end."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    positions: NDArray[np.int64] = np.arange(total, dtype=np.int64) + np.repeat(
        starts - (ends - lengths), lengths
    )
    return positions
